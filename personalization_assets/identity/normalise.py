"""Records as they are compared: canonical spellings, junk removed, exact duplicates in one row.

Reads a table `records` (columns of `identity.records`) on a working connection and leaves there:
`members` (every record and its node), `nodes` (one row per distinct person-like description, the
input of everything probabilistic) and `junk` (identifiers that are ignored, and why).
"""

import csv
import re
from importlib import resources

import duckdb
import pyarrow as pa

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
ORDER BY rid
"""

# A record without a name under an account whose other records agree on one takes that name: web
# visits and orders then say who they belong to, and a shared device no longer looks like a match.
_BORROW = """
CREATE OR REPLACE TABLE normal AS
WITH named AS (
    SELECT
        account_key,
        min(first_name) AS first_name,
        min(first_word) AS first_word,
        min(last_name) AS last_name,
        min(dob) AS dob
    FROM normal
    WHERE account_key IS NOT NULL AND last_name IS NOT NULL AND first_name IS NOT NULL
    GROUP BY account_key
    HAVING count(DISTINCT first_name) = 1 AND count(DISTINCT last_name) = 1
        AND count(DISTINCT dob) <= 1
)
SELECT n.* REPLACE (
    CASE WHEN n.last_name IS NULL AND n.first_name IS NULL
        THEN a.first_name ELSE n.first_name END AS first_name,
    CASE WHEN n.last_name IS NULL AND n.first_name IS NULL
        THEN a.first_word ELSE n.first_word END AS first_word,
    CASE WHEN n.last_name IS NULL AND n.first_name IS NULL
        THEN a.last_name ELSE n.last_name END AS last_name,
    CASE WHEN n.last_name IS NULL AND n.first_name IS NULL AND n.dob IS NULL
        THEN a.dob ELSE n.dob END AS dob
)
FROM normal AS n LEFT JOIN named AS a ON a.account_key = n.account_key
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
CREATE OR REPLACE TABLE members AS
SELECT
    rid,
    source,
    record_id,
    account_key,
    CASE WHEN {_ENOUGH} AND NOT decided
        THEN min(rid) OVER (PARTITION BY account_key, {_COMPARED}, {_ENOUGH}, decided) ELSE rid
    END AS node
FROM (
    -- What a person decided about must stay apart to be kept apart.
    SELECT n.*, d.record_id IS NOT NULL AS decided
    FROM normal AS n LEFT JOIN decided AS d USING (source, record_id)
)
ORDER BY rid;

CREATE OR REPLACE TABLE nodes AS
WITH base AS (
    SELECT
        n.rid AS unique_id,
        n.account_key,
        n.first_name, n.last_name, n.street, n.house_no, n.postcode, n.city,
        CASE WHEN je.value IS NULL THEN n.email END AS email,
        CASE WHEN jp.value IS NULL THEN n.phone END AS phone,
        CASE WHEN jb.value IS NULL THEN n.dob END AS dob,
        CASE WHEN jd.value IS NULL THEN n.device END AS device,
        coalesce(nick.name, n.first_word) AS first_canon
    FROM normal AS n
    SEMI JOIN members AS m ON m.node = n.rid
    LEFT JOIN nicknames AS nick ON nick.short = n.first_word
    LEFT JOIN junk AS je ON je.kind = 'email' AND je.value = n.email
    LEFT JOIN junk AS jp ON jp.kind = 'phone' AND jp.value = n.phone
    LEFT JOIN junk AS jb ON jb.kind = 'dob' AND jb.value = n.dob
    LEFT JOIN junk AS jd ON jd.kind = 'device' AND jd.value = n.device
),
parts AS (
    SELECT
        *,
        nullif(split_part(email, '@', 1), '') AS email_local,
        nullif(split_part(email, '@', 2), '') AS email_domain
    FROM base
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
    first_name[1] AS first_initial,
    last_name[1:3] AS last_start,
    CASE WHEN first_canon IS NOT NULL AND last_name IS NOT NULL
        THEN least(first_canon, last_name) || ' ' || greatest(first_canon, last_name) END AS names,
    CASE WHEN length(first_name) > 2 AND length(last_name) > 2
        THEN least(first_name[1:3], last_name[1:3]) || greatest(first_name[1:3], last_name[1:3])
    END AS name_starts,
    p.email_local[1:6] AS email_start,
    regexp_replace(p.email_local, '[^0-9]', '', 'g') AS email_digits,
    h.email_local AS email_handle
FROM parts AS p LEFT JOIN handles AS h ON h.email_local = p.email_local
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
    work.execute(_BORROW)
    work.execute(_junk_sql(settings))
    for statement in _NODES.split(";"):
        work.execute(statement)


def _create(work: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    work.register("incoming", table)
    work.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
    work.unregister("incoming")
