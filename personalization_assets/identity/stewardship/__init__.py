"""The data steward's tools: why records are one person, and decisions that correct it.

Here: the evidence between records as figures and as a page, the queue of doubtful pairs with a
local page to decide on them, and the file of decisions. Nothing here writes a table: decisions are
rows of `identity_decisions.csv`, and the next run obeys them.
"""
