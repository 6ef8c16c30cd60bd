"""Which records are the same person.

Here: records that can name a person, the Splink model trained on them, scored pairs, clusters,
customer ids that last, and what a person decided about doubtful pairs. Not here: which of a
customer's addresses is the good one (room `profiles`) and how a value is cleaned (`standardized`).

`normalise` -> `blocking` -> `training` / `scoring` -> `clustering` -> `owners` ->
`consolidation`.
Everything but `assets` and `checks` is a pure function over a DuckDB connection.
"""
