"""Which decisions take a customer apart, or make one of two, and keep it so.

A run obeys pairs, not wishes: these functions write out a wish as verdicts on pairs of records. A
record that somebody decided about is compared by itself, no longer together with its exact
duplicates or its account's other records; so every record concerned is named, and those that stay
together are tied to one of them.
"""

from collections.abc import Mapping, Sequence

import duckdb

from personalization_assets.errors import UserError
from personalization_assets.identity.stewardship.decision_log import Key, Verdict, Verdicts
from personalization_assets.warehouse import exists

Row = tuple[Key, Key, Verdict]


def records_of(con: duckdb.DuckDBPyConnection, customer_id: str) -> list[Key]:
    """The records of a customer, the one that says most first, then by source and id.

    Raises:
        UserError: there is no such customer.
    """
    rows = con.execute(
        """
        SELECT l.source, l.record_id FROM identity.links AS l
        JOIN identity.records AS r USING (source, record_id)
        WHERE l.customer_id = ?
        ORDER BY (r.given_name IS NOT NULL)::INT + (r.family_name IS NOT NULL)::INT
            + (r.email IS NOT NULL)::INT + (r.phone IS NOT NULL)::INT
            + (r.birth_date IS NOT NULL)::INT + (r.street IS NOT NULL)::INT
            + (r.account_key IS NOT NULL)::INT DESC, l.source, l.record_id
        """,
        [customer_id],
    ).fetchall()
    if not rows:
        raise UserError(
            f"identity.links holds no customer {customer_id}: copy the customer_id from there."
        )
    return [(source, record_id) for source, record_id in rows]


def customer_now(con: duckdb.DuckDBPyConnection, customer_id: str) -> str:
    """The id that stands for a customer now: a merged one lives on under another id.

    Where `identity.redirects` is not there yet, the merges of the ledger are followed.
    """
    if exists(con, "identity.redirects"):
        rows = con.execute(
            "SELECT customer_id FROM identity.redirects WHERE retired_id = ?", [customer_id]
        ).fetchall()
        return rows[0][0] or customer_id if rows else customer_id
    seen = {customer_id}
    while exists(con, "identity.ledger"):
        rows = con.execute(
            """
            SELECT customer_id FROM identity.ledger
            WHERE event = 'merge' AND other_customer_id = ?
            ORDER BY as_of DESC, event_id LIMIT 1
            """,
            [customer_id],
        ).fetchall()
        if not rows or rows[0][0] in seen:
            break
        customer_id = rows[0][0]
        seen.add(customer_id)
    return customer_id


def to_merge(
    one: Sequence[Key], other: Sequence[Key], standing: Mapping[tuple[Key, Key], str]
) -> Verdicts:
    """Verdicts that make one customer of the records of two.

    The first record of each side is the same person as every record of the other side: then each
    record is tied to a person of the other side, and the loss of one record unties nothing else.
    `standing` are the verdicts that bind now; those that keep the sides apart are overruled.
    """
    pairs = {_sorted(one[0], key) for key in other} | {_sorted(other[0], key) for key in one}
    pairs |= {
        pair
        for pair in (_sorted(a, b) for a in one for b in other)
        if standing.get(pair) == "different"
    }
    return Verdicts("merge", tuple((a, b, "same") for a, b in sorted(pairs)))


def to_split(records: Sequence[Key], out: Sequence[Key]) -> Verdicts:
    """Verdicts that take the records `out` of a customer into one of their own.

    Every pair across is two people; within each side all are the same person as its first record.

    Raises:
        UserError: `out` is nothing, everything, or not the customer's.
    """
    leaving = list(dict.fromkeys(out))
    strange = [key for key in leaving if key not in set(records)]
    if strange:
        raise UserError(
            f"{len(strange)} of the records to take out, of source `{strange[0][0]}`, do not "
            "belong to the customer: `personalize identity explain` lists those that do."
        )
    staying = [key for key in records if key not in set(leaving)]
    if not leaving or not staying:
        raise UserError(
            "A customer is split into two, so some of its records have to go and some to stay: "
            "name the ones to take out with --records."
        )
    rows: list[Row] = [(a, b, "different") for a in staying for b in leaving]
    for side in (staying, leaving):
        rows += [(side[0], key, "same") for key in side[1:]]
    return Verdicts("split", tuple(rows))


def _sorted(a: Key, b: Key) -> tuple[Key, Key]:
    return (a, b) if a <= b else (b, a)
