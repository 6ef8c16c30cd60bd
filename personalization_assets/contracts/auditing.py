"""The verdict on a frame: which rows may be published, which may not, and why.

Every predicate is evaluated once over whole columns. Reasons are put together for the rows that
broke something, and for no others: on data that is mostly right this is the difference to
`Model.validate`, which lists each failure and is joined back. Checks that are written in Python are
judged by Pandera, on an eager frame and with `lazy=True` (on a LazyFrame it checks no data).
"""

from collections.abc import Sequence
from typing import cast

import pandera.polars as pa
import polars as pl

from personalization_assets.contracts.contract import FAILED_CASTS, UNIQUE_KEY, Audit, Contract
from personalization_assets.contracts.predicates import NotFlagged, NotNull, Predicate
from personalization_assets.contracts.reading import rule_name

Masks = dict[str, pl.Series]
"""Rule name -> for every row, whether it breaks the rule."""


def audit(contract: Contract, frame: pl.DataFrame) -> Audit:
    """See `Contract.audit`."""
    typed = contract.conform(frame)
    broken = _predicates(contract, typed)
    broken |= _pandera(contract, typed)
    broken |= _failed_casts(frame)
    if contract.key and (repeated := _repeated(typed, contract.key)) is not None:
        broken[UNIQUE_KEY] = repeated
    counts = {name: int(mask.sum()) for name, mask in broken.items()}
    broken = {name: broken[name] for name in sorted(broken) if counts[name]}
    warnings = {r.name for r in contract.rules if r.severity == "warning"}
    fatal = _any([mask for name, mask in broken.items() if name not in warnings])
    # What the reading of the row flagged stands in `_flags` already.
    said = {r.name for r in contract.rules if isinstance(r.predicate, NotFlagged)}
    flags = {n: m for n, m in broken.items() if n in warnings and n not in said}
    if flags and "_flags" in contract.schema:
        flagged = _with_flags(typed["_flags"], flags)
        typed, frame = typed.with_columns(flagged), frame.with_columns(flagged)
    failures = {r.name: counts.get(r.name, 0) for r in contract.rules} | counts
    if fatal is None:
        none = frame.clear().with_columns(reasons=pl.lit([], dtype=pl.List(pl.String)))
        return Audit(typed, none, failures)
    errors = {n: m.filter(fatal) for n, m in broken.items() if n not in warnings}
    rejected = frame.filter(fatal).with_columns(_names(errors).alias("reasons"))
    return Audit(typed.filter(~fatal), rejected, failures)


def _predicates(contract: Contract, typed: pl.DataFrame) -> Masks:
    asked: dict[str, Predicate] = {}
    for rule in contract.rules:
        if isinstance(rule.predicate, NotNull) and not typed[rule.predicate.column].null_count():
            continue
        if rule.predicate:
            asked[rule.name] = rule.predicate
    if not asked:
        return {}
    masks = typed.select(
        (~p.polars()).fill_null(value=False).alias(name) for name, p in asked.items()
    )
    return {name: masks[name] for name in asked}


def _pandera(contract: Contract, typed: pl.DataFrame) -> Masks:
    """Rows that break a check written in Python.

    Raises:
        ValueError: such a check judges the frame and not its rows.
    """
    own = {
        r.name for r in contract.rules if r.predicate is None and not r.sql and r.name != UNIQUE_KEY
    }
    if contract.model is None or not own:
        return {}
    schema = contract.model.to_schema()
    checks = [c for c in schema.checks if rule_name(c, None) in own]
    columns = {
        name: pa.Column(spec.dtype, mine, nullable=True)
        for name, spec in schema.columns.items()
        if (mine := [c for c in spec.checks if rule_name(c, name) in own])
    }
    if not checks and not columns:
        return {}
    try:
        pa.DataFrameSchema(columns, checks).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = cast(pl.DataFrame, error.failure_cases)
        if cases["index"].null_count():
            whole = cases.filter(pl.col("index").is_null())["check"].unique().sort()
            raise ValueError(
                f"{contract.name}: {', '.join(whole)} could not be judged row by row"
            ) from None
        return _masks_of(cases, typed.height, schema)
    return {}


def _masks_of(cases: pl.DataFrame, height: int, schema: pa.DataFrameSchema) -> Masks:
    checks = [*schema.checks, *(c for spec in schema.columns.values() for c in spec.checks)]
    # Pandera shows a check by its error text, where it has one.
    names = {str(c.error): str(c.name) for c in checks if c.error}
    rows = cases.select(
        pl.col("index").cast(pl.get_index_type()),
        column=pl.when(pl.col("schema_context") == "Column").then("column"),
        check=pl.col("check").replace(names),
    )
    return {
        f"{column}.{check}" if column else str(check): _mask(height, part["index"])
        for (column, check), part in rows.group_by("column", "check", maintain_order=True)
    }


def _mask(height: int, rows: pl.Series) -> pl.Series:
    nothing = pl.Series([False]).new_from_index(0, height)
    return nothing.scatter(rows.unique(), True)


def _failed_casts(frame: pl.DataFrame) -> Masks:
    if FAILED_CASTS not in frame.columns:
        return {}
    failed = frame[FAILED_CASTS]
    if not failed.list.len().sum():
        return {}
    rows = (
        pl.DataFrame({"row": pl.int_range(frame.height, dtype=pl.get_index_type(), eager=True)})
        .with_columns(column=failed)
        .filter(pl.col("column").list.len() > 0)
        .explode("column")
    )
    return {
        f"{column}.type": _mask(frame.height, part["row"])
        for (column,), part in rows.group_by("column", maintain_order=True)
    }


def _repeated(typed: pl.DataFrame, key: Sequence[str]) -> pl.Series | None:
    """Rows whose whole key an earlier row has; None where there is none."""
    complete = pl.all_horizontal(pl.col(*key).is_not_null())
    columns = typed.select(key)
    if columns.select(pl.struct(*key).is_duplicated().any()).item():
        return columns.select(~pl.struct(*key).is_first_distinct() & complete).to_series()
    return None


def _any(masks: Sequence[pl.Series]) -> pl.Series | None:
    found: pl.Series | None = None
    for mask in masks:
        found = mask if found is None else found | mask
    return found


def _names(masks: Masks) -> pl.Series:
    """For every row the names of the masks that hold, in their order."""
    frame = pl.DataFrame([mask.alias(name) for name, mask in masks.items()])
    parts = [pl.when(pl.col(name)).then(pl.lit(name)) for name in masks]
    return frame.select(names=pl.concat_list(parts).list.drop_nulls()).to_series()


def _with_flags(flags: pl.Series, more: Masks) -> pl.Series:
    """The flags of every row with those of `more` behind them, each once."""
    rows = cast(pl.Series, _any(list(more.values()))).arg_true()
    added = pl.DataFrame(
        {
            "had": flags.gather(rows).fill_null([]),
            "more": _names({name: mask.gather(rows) for name, mask in more.items()}),
        }
    ).select(
        pl.concat_list("had", "more").list.unique(maintain_order=True).cast(flags.dtype).alias("f")
    )["f"]
    place = pl.int_range(flags.len(), dtype=pl.get_index_type(), eager=True)
    place = place.scatter(rows, flags.len() + pl.int_range(rows.len(), eager=True))
    return pl.concat([flags, added.alias(flags.name)]).gather(place)
