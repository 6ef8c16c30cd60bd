"""Received rows of all sources of a table as one standardised frame, repeats taken out."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

import duckdb
import polars as pl

from personalization_assets.contracts import Contract
from personalization_assets.sources.config import Feed, Source, SourcesConfig
from personalization_assets.sources.feeds import feed_errors, feed_rows, payload_query
from personalization_assets.sql_text import quoted
from personalization_assets.standardized.decisions import decided_rows
from personalization_assets.standardized.entities import (
    UNREADABLE,
    Lookups,
    SourceContext,
    standardise,
)
from personalization_assets.standardized.releasing import RELEASED, releasing

CHUNKED = frozenset({"web_events", "email_events"})
"""Tables so long that they are read in pieces; their rows do not depend on one another."""

CONTENT_COLUMNS: dict[str, tuple[str, ...]] = {
    "order_lines": ("source", "order_id", "product_id", "quantity", "unit_price", "description"),
}
"""Where the key may be a number that we gave: columns in which a repeated row agrees."""

DUPLICATE = "row.duplicate"
SUPERSEDED = "row.superseded"
OTHER_SOURCE = "product_id.other_source"


LINEAGE = ("source", "_batch_id", "_row_key")


@dataclass(frozen=True)
class Intake:
    """`rows` go on to the audit, the others do not.

    `discarded` (source, _batch_id, _row_key, record_key, reasons) are repeats, and rows that a
    person discarded. `decided` are the rows of `decided_rows` that a decision binds.
    """

    rows: pl.DataFrame
    discarded: pl.DataFrame
    decided: pl.DataFrame


def context_of(name: str, source: Source, feed: Feed) -> SourceContext:
    """How a source of `sources.yaml` writes its values."""
    return SourceContext(
        name=name,
        time_zone=source.time_zone,
        date_order=source.date_order,
        currency=source.currency,
        country=source.country,
        account_system=feed.account_system,
        decimal=source.csv.decimal,
        orders_of=feed.orders_of,
    )


def received(
    con: duckdb.DuckDBPyConnection,
    config: SourcesConfig,
    contract: Contract,
    as_of: dt.datetime,
    base_currency: str,
    lookups: Lookups,
    chunk_rows: int,
    only: str | None = None,
) -> pl.DataFrame:
    """All rows that the sources give to a table, standardised, in the order of `_row_key`.

    With `only`, a relation with source and _row_key, just these rows.

    Raises:
        UserError: a feed cannot be computed.
    """
    frames: list[pl.DataFrame] = []
    for name, source, feed in config.feeds_of(contract.table):
        context = context_of(name, source, feed)
        query: str = feed_rows(con, config, name, contract.table)
        if only:
            query = (
                f"SELECT f.* FROM ({query}) f SEMI JOIN (SELECT _row_key FROM {only}"
                f" WHERE source = {quoted(name)}) o ON f._row_key = o._row_key"
            )
        with feed_errors(con, config, name, contract.table):
            parts = [
                standardise(contract.table, chunk, context, as_of, base_currency, lookups)
                for chunk in _chunks(con, query, chunk_rows if contract.table in CHUNKED else None)
            ]
        if parts:
            whole = pl.concat(parts, rechunk=False)
            del parts
            # DuckDB mostly gives them in order; sorting copies everything.
            frames.append(whole if whole["_row_key"].is_sorted() else whole.sort("_row_key"))
            del whole
    if not frames:
        return contract.empty().with_columns(_failed_casts=pl.lit([], dtype=pl.List(pl.String)))
    return pl.concat(frames, rechunk=False)


def sort_out(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    rows: pl.DataFrame,
    decisions: pl.DataFrame,
    only: str | None = None,
) -> Intake:
    """Which rows go on to the audit: obeys what people decided, takes out repeats.

    A row that a person discarded counts as never received: an older version of its record stays.
    `only` is the relation of `received`.
    """
    decided = decided_rows(con, contract.table, decisions, only)
    if decided.height:
        decided = decided.join(
            rows.select("source", "_row_key"), on=["source", "_row_key"], how="semi"
        )
    discarded = decided.filter(pl.col("decision") == "discard")
    released = decided.filter(pl.col("decision") == "release")
    own = _discards(rows.clear(), "", contract)
    if discarded.height:
        both = rows.join(
            discarded.select("source", "_row_key", pl.col("rules").alias("reasons")),
            on=["source", "_row_key"],
        )
        own = _lineage(both, contract).with_columns(reasons=both["reasons"])
        rows = rows.join(discarded, on=["source", "_row_key"], how="anti", maintain_order="left")
    if released.height:
        rows = rows.join(
            released.select("source", "_row_key", pl.col("rules").alias(RELEASED)),
            on=["source", "_row_key"],
            how="left",
            maintain_order="left",
        )
    rows, repeats = _without_repeats(con, contract, rows)
    return Intake(rows, pl.concat([own, repeats]), decided)


def _chunks(con: duckdb.DuckDBPyConnection, query: str, rows: int | None) -> Iterator[pl.DataFrame]:
    if rows is None:
        # In file order: lines that have no number are numbered as they come.
        whole: pl.DataFrame = con.sql(f"SELECT * FROM ({query}) ORDER BY _row_key").pl()
        yield whole
        return
    reader = con.sql(query).to_arrow_reader(rows)
    pending: list[pl.DataFrame] = []
    height = 0
    for batch in reader:
        frame = pl.DataFrame(batch)
        pending.append(frame)
        height += frame.height
        if height >= rows:
            yield pl.concat(pending)
            pending, height = [], 0
    if pending:
        yield pl.concat(pending)


def payloads(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` (source, _row_key, ...) with the `payload` of each: the row as received."""
    found = [rows.clear().select("source", "_row_key").with_columns(payload=pl.lit(""))]
    for (name,), part in rows.group_by("source", maintain_order=True):
        con.register("wanted_keys", part.select("_row_key").to_arrow())
        try:
            got: pl.DataFrame = con.sql(payload_query(con, str(name), "wanted_keys")).pl()
        finally:
            con.unregister("wanted_keys")
        found.append(got.select(pl.lit(str(name)).alias("source"), "_row_key", "payload"))
    return rows.join(
        pl.concat(found), on=["source", "_row_key"], how="left", maintain_order="left"
    ).with_columns(pl.col("payload").fill_null(""))


def _without_repeats(
    con: duckdb.DuckDBPyConnection, contract: Contract, rows: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take out exact copies and older versions of a record.

    Of equal rows the first stays. Of different rows with one key the newest version stays: by
    `updated_at`, then by the file's name, then by when the file was loaded; two that are equally
    new are left to the contract, which rejects the second.
    """
    discarded = [_discards(rows.clear(), "", contract)]
    content = CONTENT_COLUMNS.get(contract.table, contract.key)
    readable = ~pl.col("_flags").list.contains(pl.lit(UNREADABLE))
    same = pl.struct(content).is_duplicated()
    if tuple(content) != contract.key:
        same |= pl.struct(contract.key).is_duplicated()
    repeated = rows.select((same & readable).alias("r"))["r"]
    if repeated.any():
        columns = dict.fromkeys([*LINEAGE, *contract.key, *content, *_updated(rows)])
        candidates = _with_versions(con, payloads(con, rows.filter(repeated).select(list(columns))))
        ordered = candidates.sort("loaded", "path", "_row_key")
        copies = ordered.filter(~pl.struct(*content, "payload").is_first_distinct())
        discarded.append(_discards(copies, DUPLICATE, contract))
        rest = candidates.join(
            copies.select("_row_key", "source"),
            on=["_row_key", "source"],
            how="anti",
            maintain_order="left",
        )
        old = _older_versions(rest, list(contract.key))
        discarded.append(_discards(old, SUPERSEDED, contract))
    gone = pl.concat(discarded)
    kept = (
        rows.join(
            gone.select("source", "_row_key"),
            on=["source", "_row_key"],
            how="anti",
            maintain_order="left",
        )
        if gone.height
        else rows
    )
    if contract.table == "products":
        kept, later = _first_source_wins(kept, contract)
        gone = pl.concat([gone, later])
    return _sound_rows_first(kept, contract), gone


def _updated(rows: pl.DataFrame) -> list[str]:
    return ["updated_at"] if "updated_at" in rows.columns else []


def _with_versions(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> pl.DataFrame:
    """When the file of each row was loaded, and its name."""
    files: pl.DataFrame = con.sql(
        "SELECT source, batch_id AS _batch_id, max(path) AS path, max(loaded_as_of) AS loaded"
        " FROM sources.files GROUP BY ALL"
    ).pl()
    return rows.join(files, on=["source", "_batch_id"], how="left", maintain_order="left")


def _older_versions(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    newness = [*_updated(rows), "path", "loaded"]
    ordered = rows.filter(pl.all_horizontal(pl.col(key).is_not_null())).sort(
        [*newness, "_row_key"],
        descending=[True] * len(newness) + [False],
        nulls_last=True,
    )
    same = [pl.col(c).eq_missing(pl.col(c).first().over(key)) for c in newness]
    return ordered.filter(~pl.struct(key).is_first_distinct() & ~pl.all_horizontal(same))


def _first_source_wins(rows: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Product ids are the shop's: what an earlier source describes, a later one does not."""
    first = pl.col("source") == pl.col("source").first().over("product_id")
    wins = first | pl.col("product_id").is_null()
    return rows.filter(wins), _discards(rows.filter(~wins), OTHER_SOURCE, contract)


def _sound_rows_first(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Of rows with one key the first is accepted: let that not be one that will be rejected."""
    doubtful = rows.select(pl.struct(contract.key).is_duplicated().alias("d"))["d"]
    if not doubtful.any():
        return rows
    alone = releasing(replace(contract, key=()))
    unsound = alone.audit(rows.filter(doubtful)).rejected.select("source", "_row_key")
    if unsound.height == 0:
        return rows
    keys = ["source", "_row_key"]
    return pl.concat(
        [
            rows.join(unsound, on=keys, how="anti", maintain_order="left"),
            rows.join(unsound, on=keys, how="semi", maintain_order="left"),
        ],
        rechunk=False,
    )


def _discards(rows: pl.DataFrame, reason: str, contract: Contract) -> pl.DataFrame:
    return _lineage(rows, contract).with_columns(reasons=pl.concat_list(pl.lit(reason)))


def _lineage(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    return rows.select(*LINEAGE, record_key=record_key(contract))


def record_key(contract: Contract) -> pl.Expr:
    """What a source calls the record of a row: the second column of every table's key."""
    return pl.col(contract.key[1])
