"""Why two records are one person or two: the evidence as figures, in bits.

The figures come from the model that scored `identity.matches`, applied to the records again, so
that the steps of a pair add up to its `match_weight`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from personalization_assets.errors import UserError
from personalization_assets.identity.model import Model
from personalization_assets.identity.normalise import prepare
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.stewardship.decision_log import Key
from personalization_assets.identity.stewardship.steps import Step, turned, weigh_nodes
from personalization_assets.identity.workspace import standing_decisions, workspace
from personalization_assets.warehouse import exists

FIELDS = (
    "given_name",
    "family_name",
    "email",
    "phone",
    "birth_date",
    "street",
    "postcode",
    "city",
    "country",
    "account_key",
    "device_id",
)
"""What is shown of a record, in this order, as the sources gave it."""

NEEDED = ("records", "model", "matches", "links", "decisions")


@dataclass(frozen=True)
class Record:
    """A record as it was received, and whose it is now."""

    key: Key
    fields: dict[str, str]
    entity: str
    customer_id: str | None
    linked_by: str | None
    confidence: float | None

    @property
    def name(self) -> str:
        """How commands name the record: `source/record_id`."""
        return "/".join(self.key)


@dataclass(frozen=True)
class Evidence:
    """All that speaks for and against two records being one person.

    `prior` and the bits of `steps` add up to `weight` (log2 odds of one person against strangers);
    `household` is the same for two people who live together, None where the model knows no
    households. `p` and `p_household` are what the model makes of it. `same_node` says that both are
    compared as one description; without steps nothing could be compared. `cause` and `published`
    (the probability that the run used) are those of `identity.matches`, None where it has no row.
    """

    left: Record
    right: Record
    prior: float
    steps: tuple[Step, ...]
    weight: float | None
    household: float | None
    p: float | None
    p_household: float | None
    same_node: bool
    cause: str | None
    published: float | None
    published_weight: float | None

    @property
    def outdated(self) -> bool:
        """Whether the records, or the settings, have changed since the run scored the pair."""
        both = self.weight is not None and self.published_weight is not None
        return both and abs(float(self.weight or 0) - float(self.published_weight or 0)) > 0.01

    @property
    def together(self) -> bool:
        """Whether both records are one customer now."""
        return self.left.customer_id is not None and (
            self.left.customer_id == self.right.customer_id
        )


def require_identity(con: duckdb.DuckDBPyConnection) -> None:
    """Raise a `UserError` unless the room's tables are there."""
    missing = [t for t in NEEDED if not exists(con, f"identity.{t}")]
    if missing:
        raise UserError(
            f"The warehouse has no identity.{missing[0]}: run `personalize run` first, which works "
            "out who is who."
        )


def weigh(
    con: duckdb.DuckDBPyConnection,
    settings: IdentitySettings,
    pairs: Sequence[tuple[Key, Key]],
) -> list[Evidence]:
    """The evidence of each pair of records, in the order given.

    All records are normalised anew, since what counts as junk depends on all of them; decisions are
    those of the last run, as the published weights are.

    Raises:
        UserError: a record is not in identity.records, or the model cannot be read.
    """
    require_identity(con)
    wanted = sorted({key for pair in pairs for key in pair})
    records = read_records(con, wanted)
    model = _model(con)
    tables = {
        "records": con.sql("SELECT * FROM identity.records").to_arrow_table(),
        "decisions": con.sql(standing_decisions("identity.decisions")).to_arrow_table(),
    }
    if exists(con, "identity.blocklist"):
        blocked = con.sql("SELECT kind, value FROM identity.blocklist").to_arrow_table()
        tables["blocklist"] = blocked
    with workspace(tables, con) as work:
        usable = model.comparisons
        prepare(work, settings, usable.roles, usable.extras, model.frequencies)
        nodes = _nodes(work, wanted)
        firsts = dict(nodes.values())
        asked = {_ordered(nodes[a][0], nodes[b][0]) for a, b in pairs}
        weighed = weigh_nodes(work, model, {(a, b) for a, b in asked if a != b})
    published = _published(
        con, {(firsts[a], firsts[b]) for a, b in asked if a != b} | {_sorted(p) for p in pairs}
    )
    found = []
    for a, b in pairs:
        (one, _), (other, _) = nodes[a], nodes[b]
        ends = _ordered(one, other)
        flat = weighed.get(ends)
        if flat is not None and one > other:
            flat = turned(flat)
        cause, p, weight = published.get(
            (firsts[ends[0]], firsts[ends[1]]), published.get(_sorted((a, b)), (None, None, None))
        )
        if (one > other) and cause is not None:
            cause = _other_side(cause)
        if one == other:
            cause, p, weight = cause or "exact", 1.0, None
        found.append(
            Evidence(
                left=records[a],
                right=records[b],
                prior=flat.prior if flat else 0.0,
                steps=flat.steps if flat else (),
                weight=flat.weight if flat else None,
                household=flat.household if flat and model.household else None,
                p=flat.p if flat else None,
                p_household=flat.p_household if flat and model.household else None,
                same_node=one == other,
                cause=cause,
                published=p,
                published_weight=weight if cause not in ("exact",) else None,
            )
        )
    return found


def read_records(con: duckdb.DuckDBPyConnection, keys: Iterable[Key]) -> dict[Key, Record]:
    """The records of the given keys.

    Raises:
        UserError: identity.records holds no such record.
    """
    wanted = list(keys)
    texts = ", ".join(f"r.{field}::VARCHAR AS {field}" for field in FIELDS)
    con.register("asked_records", _keys(wanted))
    try:
        cursor = con.execute(
            f"""
            SELECT r.source, r.record_id, r.entity, l.customer_id, l.linked_by, l.confidence,
                {texts}
            FROM identity.records AS r JOIN asked_records USING (source, record_id)
            LEFT JOIN identity.links AS l USING (source, record_id)
            """
        )
        names = [d[0] for d in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        con.unregister("asked_records")
    found = {
        (row["source"], row["record_id"]): Record(
            key=(row["source"], row["record_id"]),
            fields={f: row[f] or "" for f in FIELDS},
            entity=row["entity"],
            customer_id=row["customer_id"],
            linked_by=row["linked_by"],
            confidence=row["confidence"],
        )
        for row in rows
    }
    absent = [key for key in wanted if key not in found]
    if absent:
        raise UserError(
            f"identity.records holds no such record of source `{absent[0][0]}`: name it as "
            "source/record_id, as in identity.links."
        )
    return found


def _other_side(cause: str) -> str:
    if cause.endswith("_l"):
        return cause[:-1] + "r"
    return cause[:-1] + "l" if cause.endswith("_r") else cause


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a <= b else (b, a)


def _sorted(pair: tuple[Key, Key]) -> tuple[Key, Key]:
    return pair if pair[0] <= pair[1] else (pair[1], pair[0])


def _keys(keys: Sequence[Key]) -> pa.Table:
    return pa.table(
        {
            "source": pa.array([k[0] for k in keys], pa.string()),
            "record_id": pa.array([k[1] for k in keys], pa.string()),
        }
    )


def _model(con: duckdb.DuckDBPyConnection) -> Model:
    """The model that scored the matches; the current one where there are none."""
    rows = con.execute(
        """
        SELECT settings_json FROM identity.model
        ORDER BY model_version IN (SELECT model_version FROM identity.matches LIMIT 1) DESC,
            is_current DESC, trained_as_of DESC
        LIMIT 1
        """
    ).fetchall()
    if not rows:
        raise UserError("identity.model holds no model: run `personalize run` first.")
    try:
        return Model.from_json(rows[0][0])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "identity.model holds a model of another version of the platform: run `personalize run "
            "--select 'key:\"identity/model\"+'` to train it again."
        ) from error


def _nodes(work: duckdb.DuckDBPyConnection, keys: Sequence[Key]) -> dict[Key, tuple[int, Key]]:
    """Of each record: the node it is compared as, and that node's first record."""
    work.register("asked_records", _keys(keys))
    rows = work.execute(
        """
        SELECT m.source, m.record_id, m.node, f.source, f.record_id
        FROM members AS m JOIN asked_records USING (source, record_id)
        JOIN members AS f ON f.rid = m.node
        """
    ).fetchall()
    work.unregister("asked_records")
    return {(s, r): (node, (fs, fr)) for s, r, node, fs, fr in rows}


def _published(
    con: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[Key, Key]]
) -> dict[tuple[Key, Key], tuple[str | None, float | None, float | None]]:
    """Cause, probability and weight in identity.matches of the pairs that it has."""
    asked = sorted(pairs)
    left, right = _keys([p[0] for p in asked]), _keys([p[1] for p in asked])
    con.register(
        "asked_pairs",
        pa.table(
            [*left.columns, *right.columns], ["source_l", "record_id_l", "source_r", "record_id_r"]
        ),
    )
    rows = con.execute(
        """
        SELECT source_l, record_id_l, source_r, record_id_r, cause, match_probability, match_weight
        FROM identity.matches
        JOIN asked_pairs USING (source_l, record_id_l, source_r, record_id_r)
        """
    ).fetchall()
    con.unregister("asked_pairs")
    return {((a, b), (c, d)): (cause, p, weight) for a, b, c, d, cause, p, weight in rows}
