"""`personalize recommend offline`: what lists of other versions would have been clicked."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personalization_assets.commands.wide import wide_console
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from personalization_assets.feedback.offline import Estimate
    from personalization_assets.settings import Settings

FILE = click.Path(path_type=Path)

LOG = """
    WITH counted AS (
        SELECT send_id AS mail, customer_id, product_id, propensity,
               clicked_at IS NOT NULL AS clicked, CAST(made_at AS DATE) AS day,
               row_number() OVER (PARTITION BY send_id ORDER BY rank) AS place
        FROM feedback.recommendation_outcomes
        WHERE counts AND source IN ('als', 'similar') AND rank IS NOT NULL
    )
    FROM counted WHERE day > (SELECT max(day) FROM counted) - $days
    ORDER BY mail, place
"""
"""Places that a model filled, in the order of the mail's list."""


@click.command()
@click.option("--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]")
@click.pass_obj
def offline(file: Path | None, warehouse: Path | None) -> None:
    """Judge every kept version by what mails showed: the click rate that it would have had.

    Uses the places that tried near ties, with their odds (setting recommendations.explore_share).
    A version whose support is well below 100 % would have shown much that no mail did: its rate
    speaks of a part of its lists.
    """
    from rich.table import Table

    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import exists, reading

    settings = load_settings(file, warehouse=warehouse)
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("#", "version", "places", "matched", "support", "click rate", "bounds"):
        grid.add_column(name, justify="left" if name in ("version", "bounds") else "right")
    with reading(settings.warehouse_file) as con:
        if not exists(con, "feedback.recommendation_outcomes"):
            raise UserError(
                "No run has looked at what mails recommended yet: run `personalize run` first."
            )
        for model, found in judged(con, settings):
            grid.add_row(
                str(model["number"]),
                model["model_version"],
                f"{found.places:,}",
                f"{found.matched:,}",
                f"{found.support:.0%}",
                "" if found.rate is None else f"{found.rate:.2%}",
                "" if found.rate is None else f"{found.low:.2%} to {found.high:.2%}",
            )
    if not grid.row_count:
        raise UserError(
            "No place of a mail counts yet: mails have to be out for feedback.click_days, and the "
            "provider's events have to name them (send_id). docs/feedback.md says how."
        )
    wide_console().print(grid)


def judged(
    con: "duckdb.DuckDBPyConnection", settings: "Settings"
) -> Iterator[tuple[dict[str, Any], "Estimate"]]:
    """Every version whose factors are kept, as its row in als_model, with what it would have had.

    Its lists are made with what was known before the day of each mail, so no click is known to it.
    The rules of lists are not applied again, except that nothing bought lately is listed.
    """
    from personalization_assets.feedback.offline import estimate
    from personalization_assets.recommendations import models

    variables = settings.sql_variables(dt.datetime.max.replace(microsecond=0))
    for name, value in variables.items():
        con.execute(f"SET VARIABLE {name} = ?", [value])
    log = con.sql(LOG, params={"days": settings.feedback.offline_days}).pl()
    if log.is_empty():
        return
    kept = con.sql(
        "SELECT * FROM recommendations.als_model m SEMI JOIN recommendations.als_factors f"
        " ON f.model_version = m.model_version ORDER BY number"
    ).pl()
    for row in kept.iter_rows(named=True):
        model = models.load(con, row["model_version"])
        yield row, estimate(_compared(con, settings, model, log), settings.feedback.z)


def _compared(
    con: "duckdb.DuckDBPyConnection", settings: "Settings", model: Any, log: "pl.DataFrame"
) -> "pl.DataFrame":
    """The log with `matches`: whether the model's list has the same product at the place."""
    import polars as pl

    parts = []
    for (day,), mails in log.group_by("day", maintain_order=True):
        assert isinstance(day, dt.date)
        there = _lists(con, settings, model, mails, day)
        joined = mails.join(there, on=["customer_id", "place"], how="left", maintain_order="left")
        parts.append(
            joined.with_columns(
                matches=(pl.col("there") == pl.col("product_id")).fill_null(value=False)
            )
        )
    return pl.concat(parts)


def _lists(
    con: "duckdb.DuckDBPyConnection",
    settings: "Settings",
    model: Any,
    mails: "pl.DataFrame",
    day: dt.date,
) -> "pl.DataFrame":
    """The model's lists as of a day for who got mail then: customer_id, place, there."""
    import polars as pl

    from personalization_assets.recommendations import past
    from personalization_assets.recommendations.matrix import to_matrix
    from personalization_assets.sql_models import read_sql_model

    chosen = settings.recommendations
    statement = read_sql_model(settings.sql_models / "recommendations" / "interactions.sql").sql
    customers = mails["customer_id"].unique().sort()
    pairs = past.interactions(con, statement, model.recipe.half_life_days, before=day)
    known = to_matrix(pairs, customers, model.products)
    first = day - dt.timedelta(days=chosen.not_bought_days)
    bought = past.purchases(con, first, day).with_columns(weight=pl.lit(1.0))
    unsellable = con.sql(
        "SELECT product_id FROM recommendations.catalogue WHERE NOT is_sellable"
    ).pl()["product_id"]
    absent = model.products.is_in(unsellable.to_list()).arg_true().cast(pl.Int32).to_numpy()
    found = model.best(
        known.weights,
        int(mails["place"].max() or 1),  # type: ignore[arg-type]
        skip=to_matrix(bought, customers, model.products).weights,
        skip_products=absent,
        threads=settings.threads,
    )
    lists: pl.DataFrame = found.select(
        customer_id=customers.gather(found["row"]),
        place=(pl.int_range(pl.len()).over("row") + 1).cast(pl.Int64),
        there=model.products.gather(found["column"]),
    )
    return lists
