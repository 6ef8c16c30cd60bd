"""A version of the model: tuned, judged by time, and current only if it beats popularity."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.recommendations import contracts, models, training
from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_tests.recommendations import shop

STATEMENT = (shop.SQL_MODELS / "recommendations/interactions.sql").read_text()
QUICK = RecommendationsSettings(tune=False, algorithms=("als",), factors=16, bootstrap_samples=50)


def nothing() -> training.Records:
    tables = (
        contracts.AlsModel,
        contracts.AlsFactors,
        contracts.Evaluation,
        contracts.Trials,
        contracts.TrainingData,
    )
    return training.Records(*(contract_of(t).empty() for t in tables))


def train(
    con: Any,
    settings: RecommendationsSettings = QUICK,
    before: training.Records | None = None,
    threads: int = 2,
    days_later: int = 0,
    wanted: bool = True,
) -> training.Records:
    return training.train_version(
        con,
        STATEMENT,
        shop.AS_OF + dt.timedelta(days=days_later),
        settings,
        7,
        threads,
        before or nothing(),
        wanted=wanted,
    )


def value(records: training.Records, candidate: str, metric: str = "ndcg", target: str = "new",
          k: int = 10) -> float:  # fmt: skip
    rows = records.evaluation.filter(
        (pl.col("candidate") == candidate) & (pl.col("metric") == metric)
        & (pl.col("target") == target) & (pl.col("k") == k) & (pl.col("segment") == "all")
    )  # fmt: skip
    return float(rows["value"].item())


@pytest.fixture(scope="module")
def con() -> Any:
    con = shop.connect()
    shop.with_tastes(con, people=300)
    shop.build(con, *shop.ROOM)
    return con


@pytest.fixture(scope="module")
def tuned(con: Any) -> training.Records:
    return train(con, RecommendationsSettings(bootstrap_samples=50))


def test_where_people_have_tastes_the_model_beats_popularity(tuned: training.Records) -> None:
    model = tuned.models.row(0, named=True)
    assert model["published"]
    assert model["is_current"]
    assert model["metric_value"] > 1.5 * model["popularity_value"]
    assert value(tuned, "als") > value(tuned, "popular")
    assert value(tuned, "als") > value(tuned, "category")
    gain = tuned.evaluation.filter(pl.col("metric") == "gain").row(0, named=True)
    assert 0 < gain["low"] <= gain["value"] <= gain["high"]


def test_every_table_keeps_its_contract(tuned: training.Records) -> None:
    for table, frame in [
        (contracts.AlsModel, tuned.models),
        (contracts.AlsFactors, tuned.factors),
        (contracts.Evaluation, tuned.evaluation),
        (contracts.Trials, tuned.trials),
        (contracts.TrainingData, tuned.data),
    ]:
        audit = contract_of(table).audit(frame)
        assert audit.rejected.is_empty(), audit.failures
        assert not frame.is_empty()
    first = tuned.trials.group_by("algorithm", maintain_order=True).first()
    chosen = tuned.trials.filter("is_chosen")
    assert chosen["algorithm"].to_list() == first["algorithm"].to_list()
    assert (chosen["value"] >= first["value"]).all()


def test_factors_survive_the_way_through_a_table(con: Any, tuned: training.Records) -> None:
    row = tuned.models.row(0, named=True)
    model = models.from_rows(row["recipe"], tuned.factors)
    again = training.to_rows(model, row["model_version"]).select(tuned.factors.columns)
    assert again.sort("side", "key").equals(tuned.factors.sort("side", "key"))


def test_unchanged_input_trains_nothing(con: Any, tuned: training.Records) -> None:
    settings = RecommendationsSettings(bootstrap_samples=50, list_length=5)
    again = train(con, settings, before=tuned)
    for name in ("models", "factors", "evaluation", "trials"):
        assert getattr(again, name).equals(getattr(tuned, name)), name


@pytest.fixture
def news() -> Any:
    """The shop of `con` with one more purchase."""
    con = shop.connect()
    shop.with_tastes(con, people=300)
    shop.build(con, *shop.ROOM)
    con.execute("""
        INSERT INTO recommendations.activity
        SELECT customer_id, 'p001', 'purchase', day, 1, last_at FROM recommendations.activity
        WHERE product_id <> 'p001' ORDER BY day DESC, customer_id LIMIT 1
    """)
    return con


def test_what_a_search_found_is_used_until_it_is_old(news: Any, tuned: training.Records) -> None:
    settings = RecommendationsSettings(bootstrap_samples=50)
    soon = train(news, settings, before=tuned, days_later=3)
    [first, second] = soon.models["model_version"]
    assert soon.trials["model_version"].unique().to_list() == [first]
    judged = soon.evaluation.filter(model_version=second)["candidate"].unique()
    assert {"als", "ease", "knn", "running"} <= set(judged)
    late = train(news, settings, before=tuned, days_later=8)
    assert late.trials["model_version"].n_unique() == 2


def test_without_a_signal_news_are_no_reason_to_train_but_settings_are(
    news: Any, tuned: training.Records
) -> None:
    same = RecommendationsSettings(bootstrap_samples=50)
    assert train(news, same, before=tuned, wanted=False).models.equals(tuned.models)
    assert train(news, same, before=tuned).models.height == 2
    assert train(news, QUICK, before=tuned, wanted=False).models.height == 2


def test_what_a_version_was_trained_on_is_kept(con: Any, tuned: training.Records) -> None:
    [version] = tuned.models["model_version"]
    assert set(tuned.data["model_version"]) == {version}
    events = con.execute("SELECT sum(events) FROM recommendations.activity").fetchall()[0][0]
    assert tuned.data["events"].sum() == events


def test_threads_do_not_change_a_value(con: Any) -> None:
    one, two = train(con, threads=1), train(con, threads=2)
    assert one.factors.equals(two.factors)
    assert one.evaluation.equals(two.evaluation)


def test_a_version_that_does_not_beat_popularity_leaves_the_old_one_current() -> None:
    con = shop.connect()
    shop.with_tastes(con)
    shop.build(con, *shop.ROOM)
    good = train(con)
    # Everybody turns to the same three products: nothing but popularity is right now.
    con.execute("""
        INSERT INTO recommendations.activity
        SELECT DISTINCT customer_id, 'hit' || h, 'purchase',
            DATE '2026-06-01' - CAST(30 * d AS INT), 1, TIMESTAMP '2026-05-01'
        FROM recommendations.activity, range(3) AS r (h), range(2) AS s (d)
        WHERE md5(customer_id || d || h) < '8'
    """)
    worse = train(
        con, QUICK.model_copy(update={"factors": 2, "damping": 1.0, "history": 0.0}), before=good
    )
    assert worse.models["published"].to_list() == [True, False]
    assert worse.models["is_current"].to_list() == [True, False]
    assert worse.models["verdict"][1].startswith("not published: ndcg@10")
    versions = set(worse.factors["model_version"])
    assert versions == set(worse.models["model_version"])


def test_only_the_last_versions_and_the_current_one_keep_factors(con: Any) -> None:
    records = nothing()
    for factors in (8, 9, 10):
        settings = QUICK.model_copy(update={"factors": factors, "keep_versions": 1})
        records = train(con, settings, before=records)
    assert records.models.height == 3
    assert records.models["number"].to_list() == [1, 2, 3]
    assert records.models["is_current"].to_list() == [False, False, True]
    assert records.factors["model_version"].n_unique() == 1


def test_without_interactions_nothing_happens() -> None:
    con = shop.connect()
    shop.build(con, *shop.ROOM)
    records = train(con)
    assert all(getattr(records, n).is_empty() for n in ("models", "factors", "evaluation"))


def test_a_shop_too_small_to_judge_is_trained_but_not_published() -> None:
    con = shop.connect()
    shop.with_tastes(con, people=3)
    shop.build(con, *shop.ROOM)
    model = train(con, RecommendationsSettings()).models.row(0, named=True)
    assert not model["published"]
    assert "are needed" in model["verdict"]


def test_one_purchase_on_one_day_is_enough_to_train() -> None:
    con = shop.connect()
    shop.add(con, "identity.links",
             [{"source": "shop", "record_id": "a", "customer_id": "c_a"}])  # fmt: skip
    shop.build(con, *shop.ROOM)
    con.execute("""
        INSERT INTO recommendations.activity
        VALUES ('c_a', 'p1', 'purchase', DATE '2026-05-01', 1, TIMESTAMP '2026-05-01')
    """)
    model = train(con).models.row(0, named=True)
    assert model["verdict"] == "not published: too few days of purchases to judge it"
