"""From spelled records to nodes: what is folded away, what is junk, what can be compared.

Reads `normal` (one row per record, see `normalise`) and leaves `members`, `nodes` and what says too
little to be one. A node is a distinct description of a person; scores are of pairs of nodes.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from personalization_assets.identity.blocking import first_names_conflict
from personalization_assets.identity.frequencies import with_frequencies
from personalization_assets.identity.model import Frequencies
from personalization_assets.identity.pairing import sharing
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.spelling import (
    domain,
    local_part,
    mailbox,
    merged,
    number,
)
from personalization_assets.identity.workspace import create

_NAMELESS = "first_name IS NULL AND last_name IS NULL"
_FILLABLE = ("email", "phone", "dob", "device")
_ADDRESS = ("street", "house_no", "postcode", "city")


_CONTRADICTING = f"""
CREATE OR REPLACE TABLE contradicting AS
WITH spellings AS (
    SELECT DISTINCT account_key, first_name, last_name, first_canon,
        substring(first_name, 1, 1) AS first_initial
    FROM normal WHERE account_key IS NOT NULL AND first_name IS NOT NULL
)
SELECT DISTINCT a.account_key
FROM spellings AS a JOIN spellings AS b ON a.account_key = b.account_key
WHERE {first_names_conflict("a", "b")}
"""


# Orders, web visits and consents of an account often carry nothing but the account. Such a record
# is no second witness: compared by itself it would repeat what the account's other record says, in
# training and in clustering. So it is folded into the account's fullest record, which takes over
# what only the folded record knows (the device, mostly). `lead` is that record's rid.
def _fold_sql(extras: Sequence[str]) -> str:
    return f"""
CREATE OR REPLACE TABLE lead AS
WITH free AS (
    SELECT * FROM normal
    ANTI JOIN decided USING (source, record_id)
    ANTI JOIN contradicting USING (account_key)
    WHERE account_key IS NOT NULL
),
fullest AS (
    SELECT * FROM free
    QUALIFY row_number() OVER (PARTITION BY account_key ORDER BY
        (first_name IS NOT NULL)::INT + (last_name IS NOT NULL)::INT DESC,
        {" + ".join(f"({c} IS NOT NULL)::INT" for c in (*_FILLABLE, *_ADDRESS))} DESC, rid) = 1
)
SELECT f.account_key, f.rid, {", ".join(f"f.{c}" for c in _ADDRESS)},
    {
        ", ".join(
            f"coalesce(f.{c}, min_by(n.{c}, n.rid) FILTER (n.{c} IS NOT NULL)) AS {c}"
            for c in _FILLABLE
        )
    }
FROM fullest AS f
JOIN (SELECT * FROM free WHERE {_NAMELESS}) AS n
    ON n.account_key = f.account_key AND n.rid <> f.rid
GROUP BY f.account_key, f.rid, {", ".join(f"f.{c}" for c in (*_FILLABLE, *_ADDRESS))};

CREATE OR REPLACE TABLE normal AS
SELECT n.* REPLACE ({", ".join(f"coalesce(n.{c}, own.{c}) AS {c}" for c in _FILLABLE)},
    coalesce(l.rid, n.rid) AS lead)
FROM normal AS n
LEFT JOIN lead AS own ON own.rid = n.rid
LEFT JOIN (SELECT source, record_id, true AS yes FROM decided) AS d
    ON d.source = n.source AND d.record_id = n.record_id
LEFT JOIN lead AS l ON l.account_key = n.account_key AND l.rid <> n.rid
    AND n.first_name IS NULL AND n.last_name IS NULL AND d.yes IS NULL
    AND {" AND ".join(f"coalesce(n.{c} = l.{c}, n.{c} IS NULL)" for c in (*_FILLABLE, *_ADDRESS))}{
        "".join(f" AND n.{c} IS NULL" for c in _telling(extras))
    }
"""


# What is left without a name under an account takes the name on which the account's other records
# agree: then a shared device or mailbox no longer looks like a match.
_BORROW = """
CREATE OR REPLACE TABLE normal AS
WITH named AS (
    SELECT
        account_key,
        min(first_name) AS first_name,
        min(first_word) AS first_word,
        min(first_canon) AS first_canon,
        min(last_name) AS last_name,
        min(dob) AS dob
    FROM normal
    WHERE account_key IS NOT NULL AND last_name IS NOT NULL AND first_name IS NOT NULL
    GROUP BY account_key
    HAVING count(DISTINCT first_name) = 1 AND count(DISTINCT last_name) = 1
        AND count(DISTINCT dob) <= 1
)
SELECT n.* REPLACE (
    coalesce(n.first_name, a.first_name) AS first_name,
    coalesce(n.first_word, a.first_word) AS first_word,
    coalesce(n.first_canon, a.first_canon) AS first_canon,
    coalesce(n.last_name, a.last_name) AS last_name,
    coalesce(n.dob, a.dob) AS dob
)
FROM normal AS n
LEFT JOIN named AS a ON a.account_key = n.account_key
    AND n.first_name IS NULL AND n.last_name IS NULL
"""


def _telling(extras: Sequence[str]) -> list[str]:
    """Extra columns that say something about a person; the others only keep people apart."""
    return [c for c in extras if not c.startswith("apart_")]


# What makes two records with the same description the same person. A name alone does not.
ENOUGH = """(
    email IS NOT NULL
    OR (coalesce(first_name, last_name) IS NOT NULL AND (phone IS NOT NULL OR device IS NOT NULL))
    OR (first_name IS NOT NULL AND last_name IS NOT NULL
        AND (dob IS NOT NULL OR (street IS NOT NULL AND coalesce(postcode, city) IS NOT NULL)))
    OR account_key IS NOT NULL
)"""

_COMPARED = "first_name, last_name, email, phone, dob, street, house_no, postcode, city, device"


def description_digest(extras: Sequence[str]) -> str:
    """SQL: equal for rows of `normal` that say the same of a person, but for chance."""
    more = "".join(f", {c}" for c in extras)
    return f"hash(account_key, {_COMPARED}{more})"


def _find_same(work: duckdb.DuckDBPyConnection, extras: Sequence[str]) -> None:
    """Build `same` (rid, node): records that repeat another's description, and the first of it."""
    # What a person decided about must stay apart to be kept apart.
    free = work.sql(
        f"""SELECT rid, {description_digest(extras)} AS digest
        FROM normal ANTI JOIN decided USING (source, record_id) WHERE lead = rid AND {ENOUGH}"""
    ).fetchnumpy()
    # The digest only finds the few records worth comparing in full.
    suspects = sharing(np.asarray(free["rid"], np.int64), np.asarray(free["digest"], np.uint64))
    create(work, "suspects", pa.table({"rid": suspects}))
    more = "".join(f", {c}" for c in extras)
    work.execute(
        f"""
        CREATE OR REPLACE TABLE same AS
        SELECT rid, min(rid) OVER (PARTITION BY account_key, {_COMPARED}{more}) AS node
        FROM normal SEMI JOIN suspects USING (rid)
        QUALIFY node <> rid;
        DROP TABLE suspects
        """
    )


def _base_sql(extras: Sequence[str]) -> str:
    nothing_more = "".join(f" AND {c} IS NULL" for c in _telling(extras))
    more = "".join(f", {c}" for c in extras)
    return f"""
CREATE OR REPLACE VIEW base AS
SELECT
    n.rid AS unique_id,
    n.account_key,
    n.first_name, n.last_name, n.street, n.house_no, n.postcode, n.city, n.first_canon{more},
    CASE WHEN je.value IS NULL THEN n.email END AS email,
    CASE WHEN jp.value IS NULL THEN n.phone END AS phone,
    CASE WHEN jb.value IS NULL THEN n.dob END AS dob,
    CASE WHEN jd.value IS NULL THEN n.device END AS device
FROM normal AS n
ANTI JOIN same ON same.rid = n.rid
LEFT JOIN junk AS je ON je.kind = 'email' AND je.value = n.email
LEFT JOIN junk AS jp ON jp.kind = 'phone' AND jp.value = n.phone
LEFT JOIN junk AS jb ON jb.kind = 'dob' AND jb.value = n.dob
LEFT JOIN junk AS jd ON jd.kind = 'device' AND jd.value = n.device
WHERE n.lead = n.rid;

CREATE OR REPLACE TABLE bare AS
WITH empty AS (
    SELECT b.unique_id AS node, b.account_key, b.email, b.device
    FROM base AS b
    ANTI JOIN ({_DECIDED_RIDS}) AS d ON d.rid = b.unique_id
    WHERE {_NAMELESS} AND dob IS NULL AND phone IS NULL AND street IS NULL{nothing_more}
)
SELECT node, account_key, email, device,
    CASE WHEN email IS NULL THEN node ELSE min(node) OVER (PARTITION BY email) END AS unit
FROM empty
-- An account that knows more says whose the record is.
ANTI JOIN (
    SELECT account_key FROM normal ANTI JOIN same USING (rid) ANTI JOIN empty ON empty.node = rid
    WHERE lead = rid AND account_key IS NOT NULL
) AS known USING (account_key);

CREATE OR REPLACE TABLE faint AS
SELECT unique_id AS node FROM base
ANTI JOIN bare ON bare.node = base.unique_id
ANTI JOIN ({_DECIDED_RIDS}) AS d ON d.rid = base.unique_id
WHERE account_key IS NULL AND email IS NULL AND phone IS NULL AND dob IS NULL AND street IS NULL
    AND device IS NULL{nothing_more};

CREATE OR REPLACE TABLE members AS
SELECT n.rid, n.source, n.record_id, n.account_key, coalesce(b.unit, s.node, n.lead) AS node
FROM normal AS n
LEFT JOIN same AS s ON s.rid = n.lead
LEFT JOIN bare AS b ON b.node = coalesce(s.node, n.lead)
"""


_DECIDED_RIDS = "SELECT rid FROM normal SEMI JOIN decided USING (source, record_id)"

PARTS_OF_MAILBOX = f"""nullif({local_part("email")}, '') AS email_local,
    nullif({domain("email")}, '') AS email_domain,
    substring(email_local, 1, 6) AS email_start"""
"""SQL: of a column `email`."""

# Reads `base` only: its rows may be those of a few local parts.
_HANDLES = f"""
-- Local parts under several domains that restate nobody's name, used under one last name only.
CREATE OR REPLACE TABLE handles AS
WITH held AS (
    SELECT email, {local_part("email")} AS email_local, last_name, first_name, first_canon
    FROM base WHERE email IS NOT NULL
)
SELECT email_local
FROM (
    SELECT *, {merged("email_local")} AS email_plain
    FROM held SEMI JOIN (
        SELECT hash(email_local) AS code FROM held
        GROUP BY code HAVING min(hash(email)) <> max(hash(email))
    ) AS elsewhere ON elsewhere.code = hash(email_local)
    WHERE length(email_local) >= 6
)
GROUP BY email_local
HAVING min(email) <> max(email) AND min(last_name) = max(last_name) AND NOT bool_or(coalesce(
    contains(email_plain, last_name)
    OR (length(first_name) > 2 AND contains(email_plain, first_name))
    OR (length(first_canon) > 2 AND contains(email_plain, first_canon)), false))
"""

# substring costs half of what slices do.
NAMES_TOGETHER = """
    first_name || ' ' || last_name AS full_name,
    substring(first_name, 1, 1) AS first_initial,
    substring(last_name, 1, 3) AS last_start,
    CASE WHEN first_canon IS NOT NULL AND last_name IS NOT NULL
        THEN least(first_canon, last_name) || ' ' || greatest(first_canon, last_name)
    END AS names,
    CASE WHEN length(first_name) > 2 AND length(last_name) > 2
        THEN least(substring(first_name, 1, 3), substring(last_name, 1, 3))
            || greatest(substring(first_name, 1, 3), substring(last_name, 1, 3))
    END AS name_starts"""
"""SQL: what blocking and comparing read of a node's names, from its columns."""

_NODES = f"""
SELECT p.*,{NAMES_TOGETHER},
    h.email_local AS email_handle
FROM (SELECT *, {PARTS_OF_MAILBOX} FROM base) AS p
ANTI JOIN bare ON bare.node = p.unique_id
LEFT JOIN handles AS h ON h.email_local = p.email_local
"""


def _junk_sql(settings: IdentitySettings, dates: str) -> str:
    shared = "\nUNION ALL\n".join(
        f"""SELECT '{kind}' AS kind, {kind} AS value, count(*) AS records, 'shared' AS reason
        FROM normal SEMI JOIN (
            SELECT hash({kind}) AS code FROM normal WHERE {kind} IS NOT NULL
            GROUP BY code HAVING count(*) > {settings.junk_names}
        ) AS often ON often.code = hash({kind})
        WHERE {kind} IS NOT NULL
        GROUP BY {kind}
        HAVING count(DISTINCT first_name) > {settings.junk_names}
            AND count(DISTINCT last_name) > {settings.junk_names}"""
        for kind in ("email", "phone", "device")
    )
    return f"""
    CREATE OR REPLACE TABLE junk AS
    WITH dates AS (
        SELECT dob, count(*) AS records FROM {dates} WHERE dob IS NOT NULL GROUP BY dob
    ),
    found AS (
        {shared}
        UNION ALL
        SELECT 'dob', dob, records, 'mass date' FROM dates
        WHERE records > {settings.mass_date_minimum}
            AND records > {settings.mass_date_factor} * (SELECT median(records) FROM dates)
        UNION ALL
        SELECT 'email', email, count(*), 'role' FROM normal
        WHERE {local_part("email")} IN (SELECT name FROM role_mailboxes) GROUP BY email
        UNION ALL
        SELECT kind, CASE kind
            WHEN 'email' THEN {mailbox("lower(trim(value))")}
            WHEN 'phone' THEN {number("regexp_replace(value, '[^0-9]+', '', 'g')")}
            ELSE trim(value) END, 0, 'blocklist'
        FROM blocklist
    )
    SELECT kind, value, max(records) AS records, min(reason) AS reason
    FROM found GROUP BY kind, value ORDER BY kind, value
    """


def fold(work: duckdb.DuckDBPyConnection, extras: Sequence[str]) -> None:
    """Let the records of each account in `normal` lend each other what they lack.

    Leaves `contradicting`, see `find_contradicting`.
    """
    find_contradicting(work)
    if work.sql("SELECT 1 FROM normal WHERE account_key IS NOT NULL LIMIT 1").fetchall():
        work.execute(_fold_sql(extras))
        work.execute(_BORROW)


def find_contradicting(work: duckdb.DuckDBPyConnection) -> None:
    """Build `contradicting` (account_key): accounts under which several people are named.

    What the records of an account lend each other makes no difference.
    """
    work.execute(_CONTRADICTING)


def find_junk(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings, dates: str = "normal"
) -> None:
    """Build `junk` (kind, value, records, reason) from `normal`, `role_mailboxes`, `blocklist`.

    Birth dates are counted in `dates`.
    """
    work.execute(_junk_sql(settings, dates))


def sort_out(work: duckdb.DuckDBPyConnection, extras: Sequence[str]) -> None:
    """Build `same`, `members`, `base`, `bare` and `faint` from `normal`, `decided` and `junk`."""
    _find_same(work, extras)
    work.execute(_base_sql(extras))


def find_handles(work: duckdb.DuckDBPyConnection) -> None:
    """Build `handles` (email_local) from `base`."""
    work.execute(_HANDLES)


def build_nodes(
    work: duckdb.DuckDBPyConnection,
    settings: IdentitySettings,
    extras: Sequence[str],
    frequencies: Frequencies,
) -> None:
    """Build the tables that `normalise.prepare` promises, from `normal`, `decided`, `blocklist`."""
    fold(work, extras)
    find_junk(work, settings)
    sort_out(work, extras)
    find_handles(work)
    nodes = with_frequencies(work, _NODES, frequencies)
    work.execute(f"CREATE OR REPLACE TABLE nodes AS {nodes}")
    work.execute("DROP VIEW base; DROP TABLE same")
