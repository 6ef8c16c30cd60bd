"""Pairs of records that cannot be one person, whatever else they have in common.

A source may have verified something that a person has one of: a loyalty number that is only given
out against a passport, a birth date. `settings.one_per_person` says so. Two different values then
are two people; only a person's decision says otherwise.
"""

import duckdb

from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.sql_text import quoted

_VALUES = {
    "account_key": "nullif(trim(r.account_key), '')",
    "record_id": "r.source || chr(31) || r.record_id",
    "birth_date": "strftime(r.birth_date, '%Y-%m-%d')",
}
# Values of one system conflict; an account of another system is another account, no other person.
_SCOPES = {
    "account_key": "split_part({}, ':', 1)",
    "record_id": "split_part({}, chr(31), 1)",
    "birth_date": "''",
}


def apart_columns(settings: IdentitySettings) -> dict[str, str]:
    """Columns of `nodes` that keep people apart, and their SQL over a record `r`; empty if none."""
    columns: dict[str, str] = {}
    for column, value in _VALUES.items():
        sources = sorted(s for s, names in settings.one_per_person.items() if column in names)
        if sources:
            listed = ", ".join(quoted(s) for s in sources)
            said = "true" if "*" in sources else f"r.source IN ({listed})"
            columns[f"apart_{column}"] = f"CASE WHEN {said} THEN {value} END"
    return columns


def vetoed_pairs(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings, pairs: str, out: str
) -> None:
    """Build `out` (l, r): those of the table `pairs` (l, r) that cannot be one person."""
    conflicts = [
        f"(a.{column} <> b.{column} AND {scope.format('a.' + column)} = "
        f"{scope.format('b.' + column)})"
        for column, scope in (
            (c, _SCOPES[c.removeprefix("apart_")]) for c in apart_columns(settings)
        )
    ]
    where = " OR ".join(conflicts) or "false"
    work.execute(
        f"""
        CREATE OR REPLACE TABLE {out} AS
        SELECT p.l, p.r FROM {pairs} AS p
        JOIN nodes AS a ON a.unique_id = p.l JOIN nodes AS b ON b.unique_id = p.r
        WHERE {where}
        """
    )
