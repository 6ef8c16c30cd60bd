"""`personalize recommend offline`: every kept version, by what mails showed."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from personalization_assets.commands.recommend_offline import judged, offline
from personalization_assets.errors import UserError
from personalization_assets.recommendations import models, past
from personalization_assets.recommendations.exploring import explore
from personalization_assets.recommendations.exploring_settings import ExploringSettings
from personalization_assets.recommendations.matrix import to_matrix
from personalization_assets.settings import Settings
from personalization_tests.feedback.mails import DDL
from personalization_tests.recommendations import shop
from personalization_tests.recommendations.test_training import STATEMENT, train

SETTINGS = Settings.model_validate({"recommendations": {"not_bought_days": 0}})
DAY = shop.AS_OF.date() - dt.timedelta(days=5)
PLACES = 4


def world() -> Any:
    """A shop with a model, whose lists of one day tried near ties and were clicked: half of the
    products of the customer's own group, nothing else."""
    con = shop.connect(SETTINGS)
    con.execute(DDL)
    shop.with_tastes(con, people=300)
    shop.build(con, *shop.ROOM)
    records = train(con)
    for name, frame in (("als_model", records.models), ("als_factors", records.factors)):
        con.register("frame", frame.to_arrow())
        con.execute(f"CREATE TABLE recommendations.{name} AS FROM frame")
        con.unregister("frame")
    model = models.load(con, records.models["model_version"].item())
    pairs = past.interactions(con, STATEMENT, model.recipe.half_life_days, before=DAY)
    known = to_matrix(pairs, products=model.products)
    found = model.best(known.weights, 2 * PLACES)
    lists = found.select(
        customer_id=known.customers.gather(found["row"]),
        rank=pl.int_range(pl.len()).over("row") + 1,
        product_id=model.products.gather(found["column"]),
        score=pl.col("score").cast(pl.Float64),
        source=pl.lit("als"),
    )
    nothing = pl.DataFrame(
        schema={"product_id": pl.String, "shown": pl.Float64, "clicked": pl.Float64}
    )
    shown = explore(
        lists.filter(pl.col("rank") <= PLACES), lists.filter(pl.col("rank") > PLACES), nothing,
        ExploringSettings(explore_share=0.2, explore_within=0.6), 1, shop.AS_OF,
    )  # fmt: skip
    chance = np.random.default_rng(1)
    log = shown.select(
        "customer_id", "product_id", "rank", "propensity", "source",
        send_id="customer_id",
        counts=pl.lit(True),
        made_at=pl.lit(dt.datetime.combine(DAY, dt.time(3))),
        clicked_at=pl.when(pl.Series(chance.random(shown.height) < 0.3)).then(pl.lit(shop.AS_OF)),
    )  # fmt: skip
    con.register("frame", log.to_arrow())
    con.execute("CREATE TABLE feedback.recommendation_outcomes AS FROM frame")
    con.unregister("frame")
    return con


def test_the_version_that_made_the_lists_has_about_the_rate_that_it_had() -> None:
    con = world()
    ((row, found),) = judged(con, SETTINGS)
    assert row["number"] == 1
    assert found.places == 1200
    assert 0.8 * found.places < found.matched < found.places
    assert found.support == pytest.approx(1, abs=0.05)
    assert found.rate == pytest.approx(0.3, abs=0.04)
    assert (found.low or 1) < 0.3 < (found.high or 0)


def test_its_lists_know_nothing_of_the_day_of_the_mail_or_later() -> None:
    con = world()
    ((_, before),) = judged(con, SETTINGS)
    con.execute(f"""
        INSERT INTO recommendations.activity
        SELECT DISTINCT customer_id, product_id, 'click', DATE '{DAY}', 5, TIMESTAMP '{DAY}'
        FROM feedback.recommendation_outcomes
    """)
    assert next(judged(con, SETTINGS))[1] == before


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"data_dir: {tmp_path}\n")
    runner = CliRunner()

    def said() -> str:
        result = runner.invoke(offline, obj=settings)
        assert isinstance(result.exception, UserError)
        return str(result.exception)

    assert "There is no warehouse" in said()
    import duckdb

    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute(shop.DDL)
    assert "run `personalize run` first" in said()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute("""
            CREATE TABLE feedback.recommendation_outcomes (
                send_id VARCHAR, customer_id VARCHAR, product_id VARCHAR, propensity DOUBLE,
                clicked_at TIMESTAMP, made_at TIMESTAMP, rank BIGINT, counts BOOLEAN,
                source VARCHAR)
        """)
    assert "No place of a mail counts yet" in said()
