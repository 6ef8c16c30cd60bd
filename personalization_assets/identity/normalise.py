"""Records as they are compared: canonical spellings, junk removed, exact duplicates in one row.

Reads a table `records` (columns of `identity.records`) on a working connection, with `decisions`
and `blocklist` (kind, value: what a user wants ignored), and leaves there:
`members` (every record and its node), `nodes` (one row per distinct person-like description, the
input of everything probabilistic), what says too little to be one (`bare`, `faint`)
and `junk` (identifiers that are ignored, and why).
"""

import csv
import re
from collections.abc import Sequence
from importlib import resources

import duckdb
import pyarrow as pa

from personalization_assets.identity.comparison import Extra
from personalization_assets.identity.descriptions import describe
from personalization_assets.identity.model import UNKNOWN, Frequencies
from personalization_assets.identity.nodes import build_nodes
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.spelling import DIGRAPHS, folded, mailbox, merged, number
from personalization_assets.identity.vetoes import apart_columns
from personalization_assets.identity.workspace import create

# Words that name a kind of street or a part of a house. What is left is the street's own name.
STREET_WORDS = (
    "street|str|strasse|st|avenue|ave|av|road|rd|lane|ln|drive|dr|court|ct|crescent|cres|close|"
    "place|pl|boulevard|blvd|bd|terrace|ter|way|highway|hwy|parade|pde|square|sq|circuit|cct|"
    "platz|weg|allee|gasse|ring|ufer|rue|chemin|impasse|calle|carrer|avenida|avda|paseo|plaza|"
    "via|viale|piazza|corso|straat|laan|plein|ul|ulica|"
    "apt|apartment|flat|unit|suite|ste|floor|etage|no|nr|numero|piso|bis"
)

NO_LETTERS = "[^\\p{L}]+"

TITLES = "mr|mrs|ms|miss|mx|dr|prof|herr|frau|hr|fr|mme|mlle|sr|sra|srta|sig|dhr|mevr"

_WAY_NAME = (
    f"regexp_replace(regexp_replace(way, '\\b({STREET_WORDS})\\b', ' ', 'g'), '\\s+', ' ', 'g')"
)

RECORD_DIGEST = """(hash(r.account_key, r.given_name, r.family_name, r.email, r.phone,
    r.birth_date, r.street, r.postcode, r.city, r.device_id) >> 1)::BIGINT"""
"""SQL: changes with anything that is read of a record `r`."""

# Sorting the keys alone and joining them back is cheaper than sorting whole records.
_NUMBERED = """
CREATE OR REPLACE TABLE numbered AS
SELECT row_number() OVER (ORDER BY source, record_id) - 1 AS rid, source, record_id,
    rowid AS place
FROM records
"""

# A shop has far fewer names, towns and streets than records: each is spelled once.
_SPELLINGS = f"""
CREATE OR REPLACE TABLE given_spelled AS
WITH words AS (
    SELECT given_name, regexp_replace(
        trim(regexp_replace({folded("given_name")}, '{NO_LETTERS}', ' ', 'g')),
        '^(({TITLES}) )+', '') AS given
    FROM (SELECT DISTINCT given_name FROM records WHERE given_name IS NOT NULL)
),
spelled AS (
    SELECT given_name, nullif({merged("replace(given, ' ', '')")}, '') AS first_name,
        nullif({merged("split_part(given, ' ', 1)")}, '') AS first_word
    FROM words
)
SELECT s.*, coalesce(n.name, s.first_word) AS first_canon
FROM spelled AS s LEFT JOIN nicknames AS n ON n.short = s.first_word;

CREATE OR REPLACE TABLE family_spelled AS
SELECT family_name, nullif(
    {merged(f"regexp_replace({folded('family_name')}, '{NO_LETTERS}', '', 'g')")}, ''
) AS last_name
FROM (SELECT DISTINCT family_name FROM records WHERE family_name IS NOT NULL);

CREATE OR REPLACE TABLE city_spelled AS
SELECT city, nullif(
    {merged(f"trim(regexp_replace({folded('city')}, '{NO_LETTERS}', ' ', 'g'))")}, ''
) AS town
FROM (SELECT DISTINCT city FROM records WHERE city IS NOT NULL);

CREATE OR REPLACE TABLE street_spelled AS
WITH cleaned AS (
    SELECT street, trim(regexp_replace({folded("street")}, '[^\\p{{L}}0-9]+', ' ', 'g')) AS clean
    FROM (SELECT DISTINCT street FROM records WHERE street IS NOT NULL)
),
parts AS (
    SELECT street, regexp_extract(clean, '\\d+') AS house_no,
        regexp_replace(
            regexp_replace(clean, '[0-9]+[a-z]?\\b', ' ', 'g'), '(strasse|str)\\b', ' ', 'g')
            AS way
    FROM cleaned
)
SELECT street, nullif(trim({merged(_WAY_NAME)}), '') AS way, nullif(house_no, '') AS house_no
FROM parts;

CREATE OR REPLACE TABLE postcode_spelled AS
SELECT postcode,
    nullif(upper(regexp_replace(postcode, '[^\\p{{L}}0-9]+', '', 'g')), '') AS clean
FROM (SELECT DISTINCT postcode FROM records WHERE postcode IS NOT NULL)
"""

_EXTRA = {
    "identifier": lambda c: f"nullif(upper(regexp_replace({c}, '[^\\p{{L}}0-9]+', '', 'g')), '')",
    "text": lambda c: f"nullif(trim(regexp_replace({folded(c)}, '{NO_LETTERS}', ' ', 'g')), '')",
    "exact": lambda c: f"nullif(lower(trim({c})), '')",
}


def _normal_sql(extras: Sequence[Extra], settings: IdentitySettings, keep: bool) -> str:
    added = "".join(f",\n    {_EXTRA[e.compare](f'r.{e.name}')} AS {e.name}" for e in extras)
    added += "".join(f",\n    {sql} AS {name}" for name, sql in apart_columns(settings).items())
    return f"""
CREATE OR REPLACE TABLE normal AS
WITH cleaned AS (
    SELECT
        r.*,
        r.rowid AS place,
        regexp_replace(r.phone, '[^0-9]+', '', 'g') AS digits,
        lower(trim(r.email)) AS address
    FROM records AS r
)
SELECT
    n.rid,
    n.rid AS lead,
    {RECORD_DIGEST if keep else "NULL::BIGINT"} AS digest,
    r.source,
    r.record_id,
    nullif(trim(r.account_key), '') AS account_key,
    g.first_name,
    g.first_word,
    g.first_canon,
    f.last_name,
    {mailbox("r.address")} AS email,
    {number("r.digits")} AS phone,
    strftime(r.birth_date, '%Y-%m-%d') AS dob,
    s.way AS street,
    s.house_no,
    p.clean AS postcode,
    c.town AS city,
    nullif(trim(r.device_id), '') AS device{added}
FROM cleaned AS r
JOIN numbered AS n ON n.place = r.place
LEFT JOIN given_spelled AS g ON g.given_name = r.given_name
LEFT JOIN family_spelled AS f ON f.family_name = r.family_name
LEFT JOIN city_spelled AS c ON c.city = r.city
LEFT JOIN street_spelled AS s ON s.street = r.street
LEFT JOIN postcode_spelled AS p ON p.postcode = r.postcode
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


def prepare(
    work: duckdb.DuckDBPyConnection,
    settings: IdentitySettings,
    role_mailboxes: tuple[str, ...],
    extras: Sequence[Extra] = (),
    frequencies: Frequencies = UNKNOWN,
    keep: bool = False,
) -> None:
    """Build `members`, `nodes` and `junk` from the tables `records` and `decisions`.

    Also `bare` (node, account_key, email, device, unit): nodes that are only a mailbox or a device,
    not in `nodes`; `faint` (node): nodes that are only a name; `contradicting` (account_key). With
    a model's `frequencies` it can score the nodes. With `keep`, `descriptions` of all records too,
    see `descriptions`.

    A node's `unique_id` is the position of its first record in (source, record_id) order, so it
    depends on nothing but the records.
    """
    spell(work, settings, role_mailboxes, extras, keep)
    more = more_columns(extras, settings)
    build_nodes(work, settings, more, frequencies)
    if keep:
        describe(work, more)
    work.execute("DROP TABLE normal; DROP TABLE handles")


def spell(
    work: duckdb.DuckDBPyConnection,
    settings: IdentitySettings,
    role_mailboxes: tuple[str, ...],
    extras: Sequence[Extra] = (),
    keep: bool = True,
) -> None:
    """Build `normal`, each record by itself, and `numbered`, `decided` and `role_mailboxes`.

    With `keep`, `normal` has the records' `digest`.
    """
    create(work, "nicknames", nicknames())
    roles = pa.table({"name": pa.array(sorted(role_mailboxes), pa.string())})
    create(work, "role_mailboxes", roles)
    work.execute(DECIDED)
    work.execute(_NUMBERED)
    work.execute(_SPELLINGS)
    work.execute(_normal_sql(extras, settings, keep))
    for name in ("given", "family", "city", "street", "postcode"):
        work.execute(f"DROP TABLE {name}_spelled")


def more_columns(extras: Sequence[Extra], settings: IdentitySettings) -> list[str]:
    """Columns of `normal` and `nodes` that not every shop has."""
    return [*(e.name for e in extras), *apart_columns(settings)]


DECIDED = """
CREATE OR REPLACE TABLE decided AS
SELECT source_l AS source, record_id_l AS record_id FROM decisions
UNION SELECT source_r, record_id_r FROM decisions
"""
