"""Running something slow on the distinct values of a series and joining the answers back."""

from collections.abc import Callable

import polars as pl


def map_distinct(values: pl.Series, function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Apply a row-wise series function once per distinct value; null stays null."""
    distinct = values.drop_nulls().unique().sort()
    if distinct.len() == 0:
        return function(values.clear()).extend_constant(None, values.len())
    answers = pl.DataFrame({"value": distinct, "answer": function(distinct)})
    joined = pl.DataFrame({"value": values}).join(
        answers, on="value", how="left", maintain_order="left"
    )
    return joined["answer"].alias(values.name)


def map_python(
    values: pl.Series,
    function: Callable[[str], str | None],
) -> pl.Series:
    """Apply a Python function once per distinct value; for leftovers, not for whole columns."""
    return map_distinct(
        values,
        lambda distinct: pl.Series([function(v) for v in distinct.to_list()], dtype=pl.String),
    )


def settle(values: pl.Series, *steps: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Try the steps in order, each on the values that no earlier one could settle.

    All steps give the same type. The first sees everything, so put the cheap and common one first.
    """
    answer = steps[0](values)
    for step in steps[1:]:
        open_rows = (answer.is_null() & values.is_not_null()).arg_true()
        if open_rows.len() == 0:
            break
        answer = answer.scatter(open_rows, step(values.gather(open_rows)))
    return answer.alias(values.name)
