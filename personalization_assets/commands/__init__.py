"""What the commands of `personalize` do, one file a command; `cli.py` only parses.

What belongs here: running the platform from a shell and telling a person what came out. Commands
call the same definitions as the Dagster UI; no table is written in any other way.
"""
