"""Customer data in, personal e-mails out.

One folder per room of the platform; the name of the room is also the DuckDB schema, the asset key
prefix and the Dagster group. What is shared between rooms sits at this level and stays small.
`definitions.py` is where Dagster enters, `cli.py` where people do.
"""
