"""The open items of `identity.review_queue`, those first that are worth most."""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass

import duckdb

from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.stewardship.decision_log import Key
from personalization_assets.identity.stewardship.evidence import (
    Evidence,
    require_identity,
    weigh,
)
from personalization_assets.warehouse import exists

REASONS = {
    "between the thresholds": "The evidence neither suffices to join them nor to leave them apart.",
    "other records speak against it": "This pair fits, but other records of theirs contradict.",
    "several people could be meant": "More than one customer could own this mailbox or name.",
    "weak bridge": "Two groups of records have too little in common, so they were left apart.",
    "too large": "A group of more records than one person usually has was not joined.",
    "decided": "Somebody decided about this pair, and the last run obeyed.",
}


@dataclass(frozen=True)
class Side:
    """The customer of one of the two records: `orders` is None where profiles know none."""

    customer_id: str
    records: int
    orders: int | None


@dataclass(frozen=True)
class Item:
    """One doubtful pair, or two records that stand for a doubtful cluster of `records` records."""

    item_id: str
    kind: str
    reason: str
    p: float | None
    records: int
    left: Side
    right: Side
    evidence: Evidence

    @property
    def pair(self) -> tuple[Key, Key]:
        """Both records, in (source, record_id) order."""
        a, b = sorted([self.evidence.left.key, self.evidence.right.key])
        return a, b

    @property
    def why(self) -> str:
        """Why it is in the queue, in a sentence."""
        return REASONS.get(self.reason, f"{self.reason.capitalize()}.")


@dataclass(frozen=True)
class Queue:
    """Items with their evidence, most valuable first; `total` counts those left out too."""

    items: tuple[Item, ...]
    total: int
    by_reason: dict[str, int]

    def without(self, decided: Container[tuple[Key, Key]]) -> tuple["Queue", int]:
        """The queue without items whose pair is decided, and how many those are."""
        items = tuple(item for item in self.items if item.pair not in decided)
        return Queue(items, self.total, self.by_reason), len(self.items) - len(items)


def read_queue(
    con: duckdb.DuckDBPyConnection,
    settings: IdentitySettings,
    limit: int,
    reasons: Collection[str] = (),
) -> Queue:
    """The most valuable open items, at most `limit`, with their evidence.

    First come pairs of two customers who both have orders, then those where one has; among them
    those whose probability is nearest to the match threshold, where a person's word changes most.
    Items that the last run saw decided are left out.

    Raises:
        UserError: the room's tables are not there.
    """
    require_identity(con)
    wanted = sorted(reasons)
    orders = (
        "SELECT customer_id, orders FROM profiles.golden_profiles"
        if exists(con, "profiles.golden_profiles")
        else "SELECT NULL::VARCHAR AS customer_id, NULL::BIGINT AS orders WHERE false"
    )
    counts: dict[str, int] = dict(
        con.execute(
            "SELECT reason, count(*) FROM identity.review_queue WHERE status = 'open'"
            " GROUP BY reason ORDER BY 2 DESC, 1"
        ).fetchall()
    )
    rows = con.execute(
        f"""
        WITH sizes AS (
            SELECT customer_id, count(*) AS records FROM identity.links GROUP BY customer_id
        ),
        history AS ({orders})
        SELECT q.item_id, q.kind, q.reason, q.source_l, q.record_id_l, q.source_r, q.record_id_r,
            q.match_probability, q.records, a.customer_id, s.records, h.orders,
            b.customer_id, t.records, i.orders
        FROM identity.review_queue AS q
        JOIN identity.records AS x ON x.source = q.source_l AND x.record_id = q.record_id_l
        JOIN identity.records AS y ON y.source = q.source_r AND y.record_id = q.record_id_r
        JOIN identity.links AS a ON a.source = q.source_l AND a.record_id = q.record_id_l
        JOIN identity.links AS b ON b.source = q.source_r AND b.record_id = q.record_id_r
        JOIN sizes AS s ON s.customer_id = a.customer_id
        JOIN sizes AS t ON t.customer_id = b.customer_id
        LEFT JOIN history AS h ON h.customer_id = a.customer_id
        LEFT JOIN history AS i ON i.customer_id = b.customer_id
        WHERE q.status = 'open' AND (len($wanted) = 0 OR list_contains($wanted, q.reason))
        ORDER BY (coalesce(h.orders, 0) > 0)::INT + (coalesce(i.orders, 0) > 0)::INT DESC,
            abs(coalesce(q.match_probability, 0) - $threshold), q.item_id
        LIMIT $limit
        """,
        {"wanted": wanted, "threshold": settings.match_threshold, "limit": limit},
    ).fetchall()
    pairs: Sequence[tuple[Key, Key]] = [((r[3], r[4]), (r[5], r[6])) for r in rows]
    found = weigh(con, settings, pairs) if pairs else []
    items = tuple(
        Item(
            item_id=r[0],
            kind=r[1],
            reason=r[2],
            p=r[7],
            records=r[8],
            left=Side(r[9], r[10], r[11]),
            right=Side(r[12], r[13], r[14]),
            evidence=evidence,
        )
        for r, evidence in zip(rows, found, strict=True)
    )
    total = sum(n for reason, n in counts.items() if not wanted or reason in wanted)
    return Queue(items, total, counts)
