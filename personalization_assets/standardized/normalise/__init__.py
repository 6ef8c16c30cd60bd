"""Text as received into one form: pure functions over polars series.

Every function takes a series of cleaned text (see `text.clean`) and gives a series of the same
length; null where the text could not be understood. Whoever calls compares the two to know what
failed. Fast shapes are settled in polars; a library sees only the distinct leftovers.
"""
