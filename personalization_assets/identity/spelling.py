"""Ways to spell one value that count as equal, as SQL expressions."""

DIGRAPHS = "([aou])e"
"""Müller, Mueller and Muller are one name: after accents are gone, so are these e's."""


def folded(column: str) -> str:
    """Lower case without accents, also for letters that no accent can be taken off."""
    return f"translate(strip_accents(lower(replace({column}, 'ß', 'ss'))), 'øłıđ', 'olid')"


def merged(column: str) -> str:
    """Without the e of ae, oe and ue."""
    return f"regexp_replace({column}, '{DIGRAPHS}', '\\1', 'g')"


def mailbox(address: str) -> str:
    """The mailbox that a lower-case address leads to; null if a part of it is missing."""
    # DuckDB 2.0 cannot plan split_part in a later branch where a whole column is null.
    text = f"coalesce({address}, '')"
    name = f"split_part(split_part({text}, '@', 1), '+', 1)"
    behind = f"split_part({text}, '@', 2)"
    # Nearly every address is its own mailbox, and to see that is cheap.
    return f"""CASE
            WHEN strpos({address}, '@') < 2 OR contains({address}, '+') OR ends_with({address}, '@')
                OR {address} LIKE '%@%@%' OR ends_with({address}, '@gmail.com')
                OR ends_with({address}, '@googlemail.com')
            THEN CASE
                WHEN {name} = '' OR {behind} = '' THEN NULL
                WHEN {behind} IN ('gmail.com', 'googlemail.com')
                    THEN replace({name}, '.', '') || '@gmail.com'
                ELSE {name} || '@' || {behind}
            END
            ELSE {address}
        END"""


def number(digits: str) -> str:
    """The end of a phone number that is the same with and without country code; null if none."""
    return f"""CASE
            WHEN length({digits}) >= 7 AND replace({digits}, {digits}[-1:], '') <> ''
                AND {digits} NOT LIKE '%1234567%' THEN right({digits}, 9)
        END"""


def local_part(email: str) -> str:
    """What stands before the @ of a mailbox, as `mailbox` makes them (`split_part` is slower)."""
    return f"substring({email}, 1, strpos({email}, '@') - 1)"


def domain(email: str) -> str:
    """What stands behind it."""
    return f"substring({email}, strpos({email}, '@') + 1)"
