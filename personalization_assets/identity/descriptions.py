"""What a run remembers of every record, so that the next one need not look at all of them again.

A row says how the record is spelled for comparing, what it shares a node with, and what was ignored
of it. `nodes_from` reads nodes off such rows; they are what `nodes.build_nodes` makes of all
records.
"""

from collections.abc import Sequence

import duckdb

from personalization_assets.identity.nodes import (
    ENOUGH,
    NAMES_TOGETHER,
    PARTS_OF_MAILBOX,
    description_digest,
)
from personalization_assets.identity.spelling import local_part

SPELLED = (
    "account_key",
    "first_name",
    "first_canon",
    "last_name",
    "email",
    "phone",
    "dob",
    "street",
    "house_no",
    "postcode",
    "city",
    "device",
)
JUNKABLE = ("email", "phone", "dob", "device")

COLUMNS = (
    "number",
    "source",
    "record_id",
    "digest",
    *SPELLED,
    "more",
    "lead",
    "decided",
    "description",
    "node",
    "is_bare",
    "is_faint",
    *(f"junk_{c}" for c in JUNKABLE),
    "is_handle",
)
"""Of `descriptions`, in order.

`number` names the record in `lead` (the record it is folded into, mostly itself) and `node` (the
first record of its node, or of its unit if `is_bare`). `digest` changes with the record, equal
`description`s are one node. `more` holds the columns that not every shop has, as JSON.
"""


def describe(work: duckdb.DuckDBPyConnection, more: Sequence[str]) -> None:
    """Build `descriptions` (one row per record) from `normal` and all that was made of it.

    Reads `members`, `bare`, `faint`, `decided`, `junk` and `handles`. Numbers are rids.
    """
    found = " ".join(
        f"LEFT JOIN junk AS j_{c} ON j_{c}.kind = '{c}' AND j_{c}.value = n.{c}" for c in JUNKABLE
    )
    flags = ", ".join(f"j_{c}.value IS NOT NULL AS junk_{c}" for c in JUNKABLE)
    spelled = ", ".join(f"n.{c}" for c in SPELLED)
    work.execute(
        f"""
        CREATE OR REPLACE TABLE descriptions AS
        SELECT n.rid AS number, n.source, n.record_id, n.digest, {spelled},
            {packed(more, "n")} AS more, n.lead, d.yes IS NOT NULL AS decided,
            CASE WHEN d.yes IS NULL THEN n.description END AS description,
            m.node, b.unit IS NOT NULL AS is_bare, f.node IS NOT NULL AS is_faint, {flags},
            h.email_local IS NOT NULL AS is_handle
        FROM (SELECT *, {description_sql(more)} AS description FROM normal) AS n
        JOIN members AS m ON m.rid = n.rid
        LEFT JOIN (SELECT source, record_id, true AS yes FROM decided) AS d
            ON d.source = n.source AND d.record_id = n.record_id
        LEFT JOIN (SELECT DISTINCT unit FROM bare) AS b ON b.unit = m.node
        LEFT JOIN faint AS f ON f.node = m.node
        {found}
        LEFT JOIN handles AS h
            ON j_email.value IS NULL AND h.email_local = {local_part("n.email")}
        """
    )


def nodes_from(rows: str, more: Sequence[str]) -> str:
    """SELECT of nodes, as in the table `nodes`, from rows of `descriptions`; ids are numbers.

    Also the source and record_id of their first record, and `is_faint`.
    """
    return f"""
    SELECT *, {NAMES_TOGETHER},
        CASE WHEN is_handle THEN email_local END AS email_handle
    FROM (
        SELECT *, {PARTS_OF_MAILBOX} FROM (
            SELECT number AS unique_id, source, record_id, {known(SPELLED)}{unpacked(more)},
                is_handle, is_faint
            FROM {rows} WHERE number = node AND NOT is_bare
        )
    )
    """


def description_sql(more: Sequence[str]) -> str:
    """SQL over `normal`: equal for records that are one node, null where a record is its own."""
    return f"CASE WHEN lead = rid AND {ENOUGH} THEN ({description_digest(more)} >> 1)::BIGINT END"


def packed(more: Sequence[str], row: str) -> str:
    """SQL: the columns that not every shop has, in one."""
    if not more:
        return "NULL::VARCHAR"
    return f"to_json([{', '.join(f'{row}.{c}' for c in more)}])::VARCHAR"


def unpacked(more: Sequence[str]) -> str:
    """SQL: these columns again, each after a comma."""
    return "".join(
        f", json_extract_string(more, '$[{i}]') AS {column}" for i, column in enumerate(more)
    )


def known(columns: Sequence[str], row: str = "") -> str:
    """Columns of a description as they count: what is junk is null."""
    at = f"{row}." if row else ""
    return ", ".join(
        f"CASE WHEN {at}junk_{c} THEN NULL ELSE {at}{c} END AS {c}" if c in JUNKABLE else f"{at}{c}"
        for c in columns
    )
