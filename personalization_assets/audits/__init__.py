"""Audits watch every other room and change none of them; a person may move a table by a command.

What belongs here: how many rows each table had run by run and whether it changed (`runs`), what the
columns of the cleaned and the profile tables look like in numbers (`table_profiles`, by run in
`column_history`), how far they have moved since a reference (`drift`) and the page that tells it
(`report`), when a table changed its shape (`schema_versions`, and
`schema_use` by run), and the way of a stored table from one shape to another (`schema_moves`).
Only counts, shares and ranges are kept; no row and no value of a personal column ever is.

What does not: rules about single rows, which are contracts of the room that owns the table.
"""
