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
from personalization_assets.contracts.predicates import (
    Known,
    NotFlagged,
    NotNull,
    Pattern,
    Predicate,
)
from personalization_assets.contracts.reading import rule_name

Masks = dict[str, pl.Series]
"""Rule name -> for every row, whether it breaks the rule."""

SAMPLE = 1_000
FEW_VALUES = 6
"""A text column with no more values among its first rows is asked by value first."""

BITS = 60
"""Rules that one number stands for."""


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
    asked: dict[str, pl.Expr] = {}
    masks: Masks = {}
    for rule in contract.rules:
        predicate = rule.predicate
        if predicate is None:
            continue
        if isinstance(predicate, NotNull) and not typed[predicate.column].null_count():
            continue
        if isinstance(predicate, Pattern | Known):
            mask = _by_common_values(predicate, typed)
            if mask is not None:
                masks[rule.name] = mask
                continue
        asked[rule.name] = _breaks(predicate)
    found = typed.select(expression.alias(name) for name, expression in asked.items())
    return masks | {name: found[name] for name in asked}


def _breaks(predicate: Predicate) -> pl.Expr:
    return (~predicate.polars()).fill_null(value=False)


def _by_common_values(predicate: Pattern | Known, typed: pl.DataFrame) -> pl.Series | None:
    """The mask of a rule on a column of few values, as most codes are; None for other columns.

    To compare with a value costs a tenth of a regular expression or of a look-up in a set. Rows
    with another value than the common ones are asked one by one.
    """
    column = typed[predicate.column]
    if column.dtype != pl.String:
        return None
    common = column.head(SAMPLE).drop_nulls().unique()
    if common.len() > FEW_VALUES:
        return None
    sample = pl.DataFrame([common])
    good = sample.filter(~_breaks(predicate))[predicate.column].sort().to_list()
    one_of = pl.any_horizontal([column.is_null(), *(pl.col(column.name) == v for v in good)])
    rest = (~typed.select(one_of.alias("easy"))["easy"]).arg_true()
    broken = typed.select(column.name)[rest].select(_breaks(predicate).alias("broken"))["broken"]
    return _mask(typed.height, rest.filter(broken))


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
    keys = typed.select(key)
    # Equal keys have equal hashes, so that only rows with a hash in common need to be compared.
    hashes = keys.hash_rows()
    if hashes.n_unique() == keys.height:
        return None
    rows = hashes.is_duplicated().arg_true()
    complete = pl.all_horizontal(pl.col(*key).is_not_null())
    later = keys[rows].select(~pl.struct(*key).is_first_distinct() & complete).to_series()
    return _mask(keys.height, rows.filter(later))


def _any(masks: Sequence[pl.Series]) -> pl.Series | None:
    found: pl.Series | None = None
    for mask in masks:
        found = mask if found is None else found | mask
    return found


def _names(masks: Masks) -> pl.Series:
    """For every row the names of the masks that hold, in their order."""
    names = list(masks)
    frame = pl.DataFrame([mask.alias(name) for name, mask in masks.items()])
    # Rows break few combinations of rules: a number for each, and the names for each number.
    codes = frame.select(
        pl.sum_horizontal(
            pl.when(pl.col(name)).then(pl.lit(1 << place, dtype=pl.UInt64)).otherwise(0)
            for place, name in enumerate(names[start : start + BITS])
        ).alias(f"code_{start}")
        for start in range(0, len(names), BITS)
    )
    kinds = codes.unique(maintain_order=True)
    lists = [
        [
            names[start + place]
            for start, code in zip(range(0, len(names), BITS), row, strict=True)
            for place in range(BITS)
            if code >> place & 1
        ]
        for row in kinds.iter_rows()
    ]
    kinds = kinds.with_columns(names=pl.Series(lists, dtype=pl.List(pl.String)))
    return codes.join(kinds, on=codes.columns, how="left", maintain_order="left")["names"]


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
