"""Which records are the same person.

Here: records that can name a person, the Splink model trained on them, scored pairs, clusters,
customer ids that last, and what a person decided about doubtful pairs. Not here: which of a
customer's addresses is the good one (room `profiles`) and how a value is cleaned (`standardized`).

`normalise` -> `nodes` -> `blocking` -> `training` / `scoring` -> `matching` -> `clustering` ->
`owners` -> `consolidation` -> `strict` -> `gate`. `descriptions` are what a run remembers, from
which `incremental` gives the same answer for what has changed. `standalone` goes the same way for a
table of records from a file (`files`). `stewardship` explains pairs and writes down decisions.
Everything but `assets` and `checks` is a pure function over a DuckDB connection.
"""
