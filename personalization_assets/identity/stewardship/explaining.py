"""What `explain` shows, read from a warehouse between runs."""

from dataclasses import dataclass

from personalization_assets.identity.stewardship.decision_log import Key
from personalization_assets.identity.stewardship.evidence import (
    Evidence,
    Record,
    read_records,
    require_identity,
    weigh,
)
from personalization_assets.identity.stewardship.regrouping import customer_now, records_of
from personalization_assets.settings import Settings
from personalization_assets.warehouse import reading


@dataclass(frozen=True)
class Customer:
    """A customer's records, and the pairs between them, strongest bonds first."""

    customer_id: str
    records: list[Record]
    bonds: list[Evidence]
    left_out: int


def pair(settings: Settings, one: Key, other: Key) -> Evidence:
    """The evidence between two records.

    Raises:
        UserError: a record is not there, or a run holds the warehouse.
    """
    with reading(settings.warehouse_file) as con:
        return weigh(con, settings.identity, [(one, other)])[0]


def customer(settings: Settings, who: str | Key, most: int) -> Customer:
    """A customer, named by its id (also one that was merged away) or by one of its records.

    At most `most` pairs come with it: decided ones, then the most
    probable, then exact duplicates, of which there is nothing to tell.

    Raises:
        UserError: there is no such customer or record, or a run holds the warehouse.
    """
    with reading(settings.warehouse_file) as con:
        require_identity(con)
        if isinstance(who, str):
            customer_id = customer_now(con, who)
        else:
            customer_id = str(read_records(con, [who])[who].customer_id)
        keys = records_of(con, customer_id)
        rows = con.execute(
            """
            WITH mine AS (
                SELECT source, record_id FROM identity.links WHERE customer_id = ?
            )
            SELECT m.source_l, m.record_id_l, m.source_r, m.record_id_r
            FROM identity.matches AS m
            SEMI JOIN mine AS a ON a.source = m.source_l AND a.record_id = m.record_id_l
            SEMI JOIN mine AS b ON b.source = m.source_r AND b.record_id = m.record_id_r
            ORDER BY
                CASE m.cause WHEN 'decision' THEN 0 WHEN 'exact' THEN 2 ELSE 1 END,
                m.match_probability DESC, m.match_weight DESC,
                m.source_l, m.record_id_l, m.source_r, m.record_id_r
            """,
            [customer_id],
        ).fetchall()
        chosen = [((a, b), (c, d)) for a, b, c, d in rows[:most]]
        records = read_records(con, keys)
        bonds = weigh(con, settings.identity, chosen) if chosen else []
    return Customer(customer_id, [records[k] for k in keys], bonds, len(rows) - len(chosen))
