"""Audits watch every other room and change none of them.

What belongs here: how many rows each table had run by run and whether it changed (`runs`), what the
columns of the cleaned and the profile tables look like in numbers (`table_profiles`), how far they
have moved since a reference (`drift`), and when a table changed its shape (`schema_versions`).
Only counts, shares and ranges are kept; no row and no value of a personal column ever is.

What does not: rules about single rows, which are contracts of the room that owns the table.
"""
