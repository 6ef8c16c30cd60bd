"""Text inside SQL, for the few places that take no parameter (views, DDL, names of files)."""


def quoted(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """A name of a table, column or database in SQL."""
    return '"' + name.replace('"', '""') + '"'
