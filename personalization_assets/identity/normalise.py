"""Records as they are compared: canonical spellings, junk removed, exact duplicates in one row.

Reads a table `records` (columns of `identity.records`) on a working connection and leaves there:
`members` (every record and its node), `nodes` (one row per distinct person-like description, the
input of everything probabilistic), what says too little to be one (`bare`, `faint`)
and `junk` (identifiers that are ignored, and why).
"""

import csv
import re
from importlib import resources

import duckdb
import pyarrow as pa

from personalization_assets.identity.blocking import first_names_conflict
from personalization_assets.identity.settings import IdentitySettings

# Words that name a kind of street or a part of a house. What is left is the street's own name.
STREET_WORDS = (
    "street|str|strasse|st|avenue|ave|av|road|rd|lane|ln|drive|dr|court|ct|crescent|cres|close|"
    "place|pl|boulevard|blvd|bd|terrace|ter|way|highway|hwy|parade|pde|square|sq|circuit|cct|"
    "platz|weg|allee|gasse|ring|ufer|rue|chemin|impasse|calle|carrer|avenida|avda|paseo|plaza|"
    "via|viale|piazza|corso|straat|laan|plein|ul|ulica|"
    "apt|apartment|flat|unit|suite|ste|floor|etage|no|nr|numero|piso|bis"
)

TITLES = "mr|mrs|ms|miss|mx|dr|prof|herr|frau|hr|fr|mme|mlle|sr|sra|srta|sig|dhr|mevr"

DIGRAPHS = "([aou])e"
"""Müller, Mueller and Muller are one name: after accents are gone, so are these e's."""


def _folded(column: str) -> str:
    """SQL: lower case without accents, also for letters that no accent can be taken off."""
    return f"translate(strip_accents(lower(replace({column}, 'ß', 'ss'))), 'øłıđ', 'olid')"


def _merged(column: str) -> str:
    return f"regexp_replace({column}, '{DIGRAPHS}', '\\1', 'g')"


_WAY_NAME = (
    f"regexp_replace(regexp_replace(way, '\\b({STREET_WORDS})\\b', ' ', 'g'), '\\s+', ' ', 'g')"
)

_NORMAL = f"""
CREATE OR REPLACE TABLE normal AS
WITH cleaned AS (
    SELECT
        row_number() OVER (ORDER BY source, record_id) AS rid,
        source,
        record_id,
        nullif(trim(account_key), '') AS account_key,
        regexp_replace(
            trim(regexp_replace({_folded("given_name")},
                '[^\\p{{L}}]+', ' ', 'g')),
            '^(({TITLES}) )+', '') AS given,
        regexp_replace(
            {_folded("family_name")}, '[^\\p{{L}}]', '', 'g') AS family,
        lower(trim(email)) AS email,
        regexp_replace(phone, '[^0-9]', '', 'g') AS digits,
        strftime(birth_date, '%Y-%m-%d') AS dob,
        trim(regexp_replace({_folded("street")},
            '[^\\p{{L}}0-9]+', ' ', 'g')) AS street,
        upper(regexp_replace(postcode, '[^\\p{{L}}0-9]', '', 'g')) AS postcode,
        trim(regexp_replace({_folded("city")},
            '[^\\p{{L}}]+', ' ', 'g')) AS city,
        nullif(trim(device_id), '') AS device
    FROM records
),
parts AS (
    SELECT
        *,
        split_part(split_part(email, '@', 1), '+', 1) AS local,
        CASE split_part(email, '@', 2)
            WHEN 'googlemail.com' THEN 'gmail.com' ELSE split_part(email, '@', 2)
        END AS domain,
        regexp_extract(street, '\\d+') AS house_no,
        regexp_replace(
            regexp_replace(street, '[0-9]+[a-z]?\\b', ' ', 'g'), '(strasse|str)\\b', ' ', 'g')
            AS way
    FROM cleaned
)
SELECT
    rid,
    source,
    record_id,
    account_key,
    nullif({_merged("replace(given, ' ', '')")}, '') AS first_name,
    nullif({_merged("split_part(given, ' ', 1)")}, '') AS first_word,
    nullif({_merged("family")}, '') AS last_name,
    CASE
        WHEN local = '' OR domain = '' THEN NULL
        WHEN domain = 'gmail.com' THEN replace(local, '.', '') || '@gmail.com'
        ELSE local || '@' || domain
    END AS email,
    CASE
        WHEN length(digits) >= 7 AND replace(digits, digits[-1:], '') <> ''
            AND digits NOT LIKE '%1234567%' THEN right(digits, 9)
    END AS phone,
    dob,
    nullif(trim({_merged(_WAY_NAME)}), '') AS street,
    nullif(house_no, '') AS house_no,
    nullif(postcode, '') AS postcode,
    nullif({_merged("city")}, '') AS city,
    device
FROM parts
ORDER BY rid;

CREATE OR REPLACE TABLE normal AS
SELECT n.*, coalesce(nick.name, n.first_word) AS first_canon
FROM normal AS n LEFT JOIN nicknames AS nick ON nick.short = n.first_word
ORDER BY n.rid
"""

_NAMELESS = "first_name IS NULL AND last_name IS NULL"
_FILLABLE = ("email", "phone", "dob", "device")
_ADDRESS = ("street", "house_no", "postcode", "city")

# Orders, web visits and consents of an account often carry nothing but the account. Such a record
# is no second witness: compared by itself it would repeat what the account's other record says, in
# training and in clustering. So it is folded into the account's fullest record, which takes over
# what only the folded record knows (the device, mostly). `lead` is that record's rid.
_FOLD = f"""
CREATE OR REPLACE TABLE contradicting AS
WITH spellings AS (
    SELECT DISTINCT account_key, first_name, last_name, first_canon,
        first_name[1] AS first_initial
    FROM normal WHERE account_key IS NOT NULL AND first_name IS NOT NULL
)
SELECT DISTINCT a.account_key
FROM spellings AS a JOIN spellings AS b ON a.account_key = b.account_key
WHERE {first_names_conflict("a", "b")};

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
SELECT n.* REPLACE ({", ".join(f"coalesce(n.{c}, own.{c}) AS {c}" for c in _FILLABLE)}),
    coalesce(l.rid, n.rid) AS lead
FROM normal AS n
LEFT JOIN lead AS own ON own.rid = n.rid
LEFT JOIN (SELECT source, record_id, true AS yes FROM decided) AS d
    ON d.source = n.source AND d.record_id = n.record_id
LEFT JOIN lead AS l ON l.account_key = n.account_key AND l.rid <> n.rid
    AND n.first_name IS NULL AND n.last_name IS NULL AND d.yes IS NULL
    AND {" AND ".join(f"coalesce(n.{c} = l.{c}, n.{c} IS NULL)" for c in (*_FILLABLE, *_ADDRESS))}
ORDER BY n.rid
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
ORDER BY n.rid
"""

# What makes two records with the same description the same person. A name alone does not.
_ENOUGH = """(
    email IS NOT NULL
    OR (coalesce(first_name, last_name) IS NOT NULL AND (phone IS NOT NULL OR device IS NOT NULL))
    OR (first_name IS NOT NULL AND last_name IS NOT NULL
        AND (dob IS NOT NULL OR (street IS NOT NULL AND coalesce(postcode, city) IS NOT NULL)))
    OR account_key IS NOT NULL
)"""

_COMPARED = "first_name, last_name, email, phone, dob, street, house_no, postcode, city, device"

_NODES = f"""
CREATE OR REPLACE TABLE described AS
SELECT
    rid, source, record_id, account_key, decided,
    CASE WHEN {_ENOUGH} AND NOT decided
        THEN min(rid) OVER (PARTITION BY account_key, {_COMPARED}, {_ENOUGH}, decided) ELSE rid
    END AS node
FROM (
    -- What a person decided about must stay apart to be kept apart.
    SELECT n.*, d.record_id IS NOT NULL AS decided
    FROM normal AS n LEFT JOIN decided AS d USING (source, record_id)
    WHERE n.lead = n.rid
);

CREATE OR REPLACE TABLE base AS
SELECT
    n.rid AS unique_id,
    n.account_key,
    n.first_name, n.last_name, n.street, n.house_no, n.postcode, n.city, n.first_canon,
    CASE WHEN je.value IS NULL THEN n.email END AS email,
    CASE WHEN jp.value IS NULL THEN n.phone END AS phone,
    CASE WHEN jb.value IS NULL THEN n.dob END AS dob,
    CASE WHEN jd.value IS NULL THEN n.device END AS device
FROM normal AS n
SEMI JOIN described AS m ON m.node = n.rid
LEFT JOIN junk AS je ON je.kind = 'email' AND je.value = n.email
LEFT JOIN junk AS jp ON jp.kind = 'phone' AND jp.value = n.phone
LEFT JOIN junk AS jb ON jb.kind = 'dob' AND jb.value = n.dob
LEFT JOIN junk AS jd ON jd.kind = 'device' AND jd.value = n.device;

CREATE OR REPLACE TABLE bare AS
WITH empty AS (
    SELECT b.unique_id AS node, b.account_key, b.email, b.device
    FROM base AS b
    ANTI JOIN described AS d ON d.node = b.unique_id AND d.decided
    WHERE {_NAMELESS} AND dob IS NULL AND phone IS NULL AND street IS NULL
)
SELECT node, account_key, email, device,
    CASE WHEN email IS NULL THEN node ELSE min(node) OVER (PARTITION BY email) END AS unit
FROM empty
-- An account that knows more says whose the record is.
ANTI JOIN (
    SELECT account_key FROM base ANTI JOIN empty ON empty.node = base.unique_id
) AS known USING (account_key);

CREATE OR REPLACE TABLE faint AS
SELECT unique_id AS node FROM base
ANTI JOIN bare ON bare.node = base.unique_id
ANTI JOIN described AS d ON d.node = base.unique_id AND d.decided
WHERE account_key IS NULL AND email IS NULL AND phone IS NULL AND dob IS NULL AND street IS NULL
    AND device IS NULL;

CREATE OR REPLACE TABLE members AS
SELECT n.rid, n.source, n.record_id, n.account_key, coalesce(b.unit, d.node) AS node
FROM normal AS n
JOIN described AS d ON d.rid = n.lead
LEFT JOIN bare AS b ON b.node = d.node
ORDER BY n.rid;

CREATE OR REPLACE TABLE nodes AS
WITH parts AS (
    SELECT
        *,
        nullif(split_part(email, '@', 1), '') AS email_local,
        nullif(split_part(email, '@', 2), '') AS email_domain
    FROM base ANTI JOIN bare ON bare.node = base.unique_id
),
handles AS (
    -- Local parts that restate nobody's name, used under one last name only.
    SELECT email_local
    FROM parts
    WHERE length(email_local) >= 6
    GROUP BY email_local
    HAVING count(DISTINCT last_name) = 1 AND NOT bool_or(coalesce(
        contains({_merged("email_local")}, last_name)
        OR (length(first_name) > 2 AND contains({_merged("email_local")}, first_name))
        OR (length(first_canon) > 2 AND contains({_merged("email_local")}, first_canon)), false))
)
SELECT
    p.*,
    p.first_name || ' ' || p.last_name AS full_name,
    p.first_name[1] AS first_initial,
    p.last_name[1:3] AS last_start,
    CASE WHEN first_canon IS NOT NULL AND p.last_name IS NOT NULL
        THEN least(first_canon, p.last_name) || ' ' || greatest(first_canon, p.last_name)
    END AS names,
    CASE WHEN length(p.first_name) > 2 AND length(p.last_name) > 2
        THEN least(p.first_name[1:3], p.last_name[1:3])
            || greatest(p.first_name[1:3], p.last_name[1:3])
    END AS name_starts,
    p.email_local[1:6] AS email_start,
    regexp_replace({_merged("p.email_local")}, '[^a-z]', '', 'g') AS email_name,
    regexp_replace(p.email_local, '[^0-9]', '', 'g') AS email_digits,
    h.email_local AS email_handle
FROM parts AS p
LEFT JOIN handles AS h ON h.email_local = p.email_local
ORDER BY unique_id
"""


def nicknames() -> pa.Table:
    """Short or foreign forms of given names and the one name that stands for them all."""
    text = resources.files("personalization_assets.identity").joinpath("nicknames.csv").read_text()
    names: dict[str, str] = {}
    rows = list(csv.DictReader(text.splitlines()))
    for row in rows:
        for short in row["short"].split():
            names.setdefault(re.sub(DIGRAPHS, r"\1", short), re.sub(DIGRAPHS, r"\1", row["name"]))
    ordered = sorted(names.items())
    return pa.table({"short": [s for s, _ in ordered], "name": [n for _, n in ordered]})


def _junk_sql(settings: IdentitySettings) -> str:
    shared = "\nUNION ALL\n".join(
        f"""SELECT '{kind}' AS kind, {kind} AS value, count(*) AS records, 'shared' AS reason
        FROM normal WHERE {kind} IS NOT NULL GROUP BY {kind}
        HAVING count(DISTINCT first_name) > {settings.junk_names}
            AND count(DISTINCT last_name) > {settings.junk_names}"""
        for kind in ("email", "phone", "device")
    )
    return f"""
    CREATE OR REPLACE TABLE junk AS
    WITH dates AS (
        SELECT dob, count(*) AS records FROM normal WHERE dob IS NOT NULL GROUP BY dob
    ),
    found AS (
        {shared}
        UNION ALL
        SELECT 'dob', dob, records, 'mass date' FROM dates
        WHERE records > {settings.mass_date_minimum}
            AND records > {settings.mass_date_factor} * (SELECT median(records) FROM dates)
        UNION ALL
        SELECT 'email', email, count(*), 'role' FROM normal
        WHERE split_part(email, '@', 1) IN (SELECT name FROM role_mailboxes) GROUP BY email
    )
    SELECT kind, value, max(records) AS records, min(reason) AS reason
    FROM found GROUP BY kind, value ORDER BY kind, value
    """


def prepare(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings, role_mailboxes: tuple[str, ...]
) -> None:
    """Build `members`, `nodes` and `junk` from the tables `records` and `decisions`.

    Also `bare` (node, account_key, email, device, unit): nodes that are only a mailbox or a device,
    not in `nodes`; `faint` (node): nodes that are only a name; `contradicting` (account_key).

    A node's `unique_id` is the position of its first record in (source, record_id) order, so it
    depends on nothing but the records.
    """
    _create(work, "nicknames", nicknames())
    roles = pa.table({"name": pa.array(sorted(role_mailboxes), pa.string())})
    _create(work, "role_mailboxes", roles)
    work.execute(
        """CREATE OR REPLACE TABLE decided AS
        SELECT source_l AS source, record_id_l AS record_id FROM decisions
        UNION SELECT source_r, record_id_r FROM decisions"""
    )
    work.execute(_NORMAL)
    work.execute(_FOLD)
    work.execute(_BORROW)
    work.execute(_junk_sql(settings))
    work.execute(_NODES)


def _create(work: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    work.register("incoming", table)
    work.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
    work.unregister("incoming")
