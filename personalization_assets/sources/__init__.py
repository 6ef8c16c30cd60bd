"""The extracts of the shop's systems, as received: one table per source, every value as text.

Here belongs what it takes to find files, read them without losing a line, and put a source's
columns under the platform's names. What a value means (a date, a country, a phone number) is
decided in `standardized`.
"""
