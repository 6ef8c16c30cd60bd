"""Which records are new, changed or gone, and how all that hangs together with them is described.

A record is described together with those of its account, with exact duplicates and with bare
records of one mailbox; and with everybody else by what counts as junk or as a handle. Whatever any
of these may have changed is described again, by the code that describes all.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from personalization_assets.identity.descriptions import (
    COLUMNS,
    JUNKABLE,
    SPELLED,
    describe,
    description_sql,
    packed,
    unpacked,
)
from personalization_assets.identity.model import Model
from personalization_assets.identity.nodes import find_handles, find_junk, fold, sort_out
from personalization_assets.identity.normalise import (
    DECIDED,
    RECORD_DIGEST,
    more_columns,
    spell,
)
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.spelling import local_part
from personalization_assets.identity.workspace import create, part_of

_OF_RECORD = ("number", "source", "record_id", "digest", *SPELLED, "more", "lead", "decided")


def find_changed(work: duckdb.DuckDBPyConnection) -> int:
    """Build `changed` (source, record_id, number, account_before, account_now, gone); its size.

    What a person decided about is always looked at again: what was decided may have changed.
    """
    work.execute(DECIDED)
    work.execute(
        f"""
        CREATE OR REPLACE TABLE changed AS
        WITH now AS (
            SELECT r.source, r.record_id, nullif(trim(r.account_key), '') AS account,
                {RECORD_DIGEST} AS digest, d.yes IS NOT NULL AS decided
            FROM records AS r
            LEFT JOIN (SELECT source, record_id, true AS yes FROM decided) AS d
                ON d.source = r.source AND d.record_id = r.record_id
        )
        SELECT coalesce(n.source, b.source) AS source, coalesce(n.record_id, b.record_id)
            AS record_id, b.number, b.account_key AS account_before, n.account AS account_now,
            n.source IS NULL AS gone
        FROM now AS n
        FULL JOIN descriptions_before AS b ON b.source = n.source AND b.record_id = n.record_id
        WHERE n.source IS NULL OR b.source IS NULL OR n.digest <> b.digest
            OR n.decided OR b.decided
        """
    )
    return _count(work, "changed")


def describe_changed(
    work: duckdb.DuckDBPyConnection, model: Model, settings: IdentitySettings
) -> None:
    """Build `described`: rows of `descriptions` for all records that may be described otherwise,
    with the `area` and `neighbourhood` that they had, null for new ones.

    Reads `changed`. Also leaves `superseded` (number): records whose row of before no longer
    counts, gone ones among them; and the view `descriptions_now`, `anew` where it is of
    `described`.
    """
    more = more_columns(model.comparisons.extras, settings)
    _spell_fresh(work, model, settings, more)
    _find_flipped(work, settings)
    _find_handles_of_fresh(work)
    _find_affected(work)
    _describe_affected(work, more)
    rows = ", ".join((*COLUMNS, "area", "neighbourhood"))
    work.execute(
        f"""
        CREATE OR REPLACE TABLE superseded AS FROM replaced UNION FROM affected;
        CREATE OR REPLACE VIEW descriptions_now AS
        SELECT {rows}, false AS anew FROM descriptions_before ANTI JOIN superseded USING (number)
        UNION ALL SELECT {rows}, true FROM described
        """
    )


def _spell_fresh(
    work: duckdb.DuckDBPyConnection, model: Model, settings: IdentitySettings, more: Sequence[str]
) -> None:
    """Build `fresh`, changed records and those of their accounts as they are spelled now, and
    `replaced` (number), their rows of before and those of the gone; and the view `spelled_now`."""
    work.execute(
        """
        CREATE OR REPLACE TABLE fresh_keys AS
        WITH stirred AS (
            SELECT account_before AS account FROM changed UNION SELECT account_now FROM changed
        )
        SELECT source, record_id, coalesce(number, row_number() OVER (ORDER BY source, record_id)
            + (SELECT max(number) FROM descriptions_before)) AS number
        FROM changed WHERE NOT gone
        UNION ALL
        SELECT source, record_id, number FROM descriptions_before AS b
        SEMI JOIN stirred ON stirred.account = b.account_key
        ANTI JOIN changed USING (source, record_id)
        """
    )
    tables = {
        "records": work.sql(
            "SELECT r.* FROM records AS r SEMI JOIN fresh_keys USING (source, record_id)"
        ).to_arrow_table(),
        "fresh_keys": work.sql("FROM fresh_keys").to_arrow_table(),
        "decisions": work.sql("FROM decisions").to_arrow_table(),
    }
    usable = model.comparisons
    with part_of(work, tables, main="records") as part:
        spell(part, settings, usable.roles, usable.extras)
        roles = part.sql("FROM role_mailboxes").to_arrow_table()
        fold(part, more)
        fresh = part.sql(
            f"""
            SELECT k.number, n.source, n.record_id, n.digest,
                {", ".join(f"n.{c}" for c in SPELLED)}, {packed(more, "n")} AS more,
                f.number AS lead, d.source IS NOT NULL AS decided,
                CASE WHEN d.source IS NULL THEN n.description END AS description,
                NULL::BIGINT AS node
            FROM (SELECT *, {description_sql(more)} AS description FROM normal) AS n
            JOIN fresh_keys AS k ON k.source = n.source AND k.record_id = n.record_id
            JOIN numbered AS l ON l.rid = n.lead
            JOIN fresh_keys AS f ON f.source = l.source AND f.record_id = l.record_id
            LEFT JOIN decided AS d ON d.source = n.source AND d.record_id = n.record_id
            """
        ).to_arrow_table()
    create(work, "fresh", fresh)
    create(work, "role_mailboxes", roles)
    columns = ", ".join([*_OF_RECORD, "description", "node"])
    work.execute(
        f"""
        CREATE OR REPLACE TABLE replaced AS
        SELECT number FROM changed WHERE number IS NOT NULL UNION SELECT number FROM fresh;
        CREATE OR REPLACE VIEW spelled_now AS
        SELECT {columns} FROM descriptions_before ANTI JOIN replaced USING (number)
        UNION ALL SELECT {columns} FROM fresh
        """
    )


def _find_flipped(work: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> None:
    """Build `junk`, and `affected` (number) of who holds a value that became it, or is no longer.

    Only a value that somebody got or lost, or that was junk, can be otherwise than before; all who
    hold one are counted. Birth dates are compared with all others.
    """
    held = " OR ".join(
        f"""{c} IN (
            SELECT {c} FROM descriptions_before SEMI JOIN replaced USING (number)
            WHERE {c} IS NOT NULL
            UNION SELECT {c} FROM fresh WHERE {c} IS NOT NULL
            UNION SELECT {c} FROM descriptions_before WHERE junk_{c}
        )"""
        for c in ("email", "phone", "device")
    )
    work.execute(
        f"""CREATE OR REPLACE TABLE normal AS
        SELECT email, phone, device, first_name, last_name FROM spelled_now WHERE {held}"""
    )
    find_junk(work, settings, dates="spelled_now")
    work.execute("DROP TABLE normal")
    before = " UNION ".join(
        f"SELECT '{c}' AS kind, {c} AS value FROM descriptions_before WHERE junk_{c}"
        for c in JUNKABLE
    )
    work.execute(
        f"""
        CREATE OR REPLACE TABLE flipped AS
        WITH before AS ({before}), now AS (SELECT kind, value FROM junk)
        (FROM before EXCEPT FROM now) UNION ALL (FROM now EXCEPT FROM before);
        CREATE OR REPLACE TABLE affected (number BIGINT)
        """
    )
    for column in JUNKABLE:
        work.execute(
            f"""
            INSERT INTO affected SELECT number FROM descriptions_before AS b
            SEMI JOIN (SELECT value FROM flipped WHERE kind = '{column}') AS f
                ON f.value = b.{column}
            """
        )


def _find_handles_of_fresh(work: duckdb.DuckDBPyConnection) -> None:
    """Build `handles` of the local parts in `locals`, whose use may have changed.

    Adds to `affected` who holds one that became a handle, or is no longer.
    """
    work.execute(
        f"""
        CREATE OR REPLACE TABLE locals AS
        SELECT DISTINCT {local_part("email")} AS email_local FROM (
            SELECT email FROM descriptions_before SEMI JOIN replaced USING (number)
            UNION ALL SELECT email FROM descriptions_before SEMI JOIN affected USING (number)
            UNION ALL SELECT email FROM fresh
        ) WHERE email IS NOT NULL;
        CREATE OR REPLACE TABLE users AS
        SELECT s.number, s.lead, s.email, {local_part("s.email")} AS email_local,
            s.first_name, s.last_name, s.first_canon
        FROM spelled_now AS s
        SEMI JOIN locals ON locals.email_local = {local_part("s.email")}
        ANTI JOIN (SELECT value FROM junk WHERE kind = 'email') AS j ON j.value = s.email;
        CREATE OR REPLACE TABLE base AS
        SELECT email, first_name, last_name, first_canon FROM users WHERE lead = number
        """
    )
    find_handles(work)
    # Whose mailbox is junk was found before.
    work.execute(
        """
        INSERT INTO affected SELECT number FROM users AS u
        JOIN descriptions_before AS b USING (number)
        LEFT JOIN handles AS h ON h.email_local = u.email_local
        WHERE (h.email_local IS NOT NULL) <> b.is_handle;
        DROP TABLE users
        """
    )


def _find_affected(work: duckdb.DuckDBPyConnection) -> None:
    """Add to `affected` everybody who is described together with somebody in it, or was."""
    nameless = "first_name IS NULL AND last_name IS NULL AND email IS NOT NULL"
    work.execute(
        """
        CREATE OR REPLACE TABLE growing AS
        SELECT number FROM affected ANTI JOIN replaced USING (number)
        UNION SELECT number FROM fresh
        """
    )
    seen = 0
    while (size := _count(work, "growing")) > seen:
        seen = size
        work.execute(
            f"""
            CREATE OR REPLACE TABLE mates AS
            WITH now AS (FROM spelled_now SEMI JOIN growing USING (number)),
            before AS (
                FROM descriptions_before SEMI JOIN (FROM growing UNION FROM replaced) AS g
                    USING (number)
            )
            SELECT DISTINCT account_key, NULL::BIGINT AS description, NULL::BIGINT AS node,
                NULL AS email FROM now WHERE account_key IS NOT NULL
            UNION ALL SELECT DISTINCT NULL, description, NULL, NULL FROM now
                WHERE description IS NOT NULL
            UNION ALL SELECT DISTINCT NULL, NULL, node, NULL FROM before
            UNION ALL SELECT NULL, NULL, NULL, email FROM (
                SELECT email FROM now WHERE {nameless}
                UNION SELECT email FROM before WHERE {nameless}
            )
            """
        )
        found = " UNION ".join(
            f"SELECT number FROM spelled_now AS s SEMI JOIN mates ON mates.{c} = s.{c} {where}"
            for c, where in (
                ("account_key", ""),
                ("description", ""),
                ("node", ""),
                ("email", f"WHERE {nameless}"),
            )
            if work.sql(f"SELECT 1 FROM mates WHERE {c} IS NOT NULL LIMIT 1").fetchall()
        )
        work.execute(
            f"CREATE OR REPLACE TABLE growing AS FROM growing {f'UNION ({found})' if found else ''}"
        )
    work.execute("CREATE OR REPLACE TABLE affected AS FROM growing; DROP TABLE IF EXISTS mates")


def _describe_affected(work: duckdb.DuckDBPyConnection, more: Sequence[str]) -> None:
    tables: dict[str, pa.Table] = {
        "spelled": work.sql("FROM spelled_now SEMI JOIN affected USING (number)").to_arrow_table(),
        "decisions": work.sql("FROM decisions").to_arrow_table(),
        "junk": work.sql("FROM junk").to_arrow_table(),
        # Of local parts that nothing has happened to, the rows of before know.
        "handles": work.sql(
            f"""
            SELECT email_local FROM handles
            UNION SELECT {local_part("email")} FROM descriptions_before AS b
            SEMI JOIN affected USING (number)
            ANTI JOIN locals ON locals.email_local = {local_part("b.email")}
            WHERE b.is_handle
            """
        ).to_arrow_table(),
    }
    with part_of(work, tables, main="spelled") as part:
        part.execute(DECIDED)
        part.execute(
            f"""
            CREATE OR REPLACE TABLE positions AS
            SELECT number, row_number() OVER (ORDER BY source, record_id) - 1 AS rid FROM spelled;
            CREATE OR REPLACE TABLE normal AS
            SELECT p.rid, l.rid AS lead, s.source, s.record_id, s.digest,
                {", ".join(f"s.{c}" for c in SPELLED)}{unpacked(more)}
            FROM spelled AS s
            JOIN positions AS p ON p.number = s.number
            JOIN positions AS l ON l.number = s.lead
            """
        )
        sort_out(part, more)
        describe(part, more)
        described = part.sql(
            f"""
            SELECT {", ".join(f"{_NUMBERS.get(c, f'd.{c}')} AS {c}" for c in COLUMNS)}
            FROM descriptions AS d
            JOIN positions AS p ON p.rid = d.number
            JOIN positions AS l ON l.rid = d.lead
            JOIN positions AS n ON n.rid = d.node
            """
        ).to_arrow_table()
    create(work, "described_alone", described)
    work.execute(
        """
        CREATE OR REPLACE TABLE described AS
        FROM described_alone
        LEFT JOIN (SELECT number, area, neighbourhood FROM descriptions_before) USING (number);
        DROP TABLE described_alone
        """
    )


_NUMBERS = {"number": "p.number", "lead": "l.number", "node": "n.number"}


def _count(work: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(work.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0])
