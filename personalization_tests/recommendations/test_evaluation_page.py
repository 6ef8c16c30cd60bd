"""The page of plots over versions: whole, true to the tables, and quiet about customers."""

import re
from xml.etree import ElementTree

import duckdb
import polars as pl
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.errors import UserError
from personalization_assets.recommendations import contracts
from personalization_assets.recommendations.evaluation_page import (
    History,
    bounds_of,
    candidate_of,
    page,
    read_history,
)
from personalization_tests.recommendations.version_history import CANDIDATES, history


def plots(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def words(text: str) -> str:
    return re.sub(r"<[^>]*>", " ", text)


def test_the_made_up_history_is_one_that_the_tables_could_hold() -> None:
    made = history()
    for table, frame in [(contracts.AlsModel, made.models), (contracts.Trials, made.trials),
                         (contracts.Evaluation, made.evaluation)]:  # fmt: skip
        audit = contract_of(table).audit(frame)
        assert audit.rejected.is_empty(), audit.failures


def test_every_plot_is_there_and_the_page_loads_nothing() -> None:
    text = page(history())
    labels = [svg.get("aria-label") for svg in plots(text)]
    assert labels == [
        "NDCG@10 over versions",
        "NDCG@10 of every candidate",
        "NDCG@10 by segment",
        "trials of the search: NDCG@10",
        "coverage, novelty and calibration of every candidate",
    ]
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    assert "$" not in words(text)


def test_the_plots_take_the_colours_of_the_page() -> None:
    text = page(history())
    assert "var(--ink)" in text
    assert "#1b1f27" not in "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))


def test_candidates_are_named_in_order_of_the_gates_metric() -> None:
    svg = plots(page(history()))[1]
    names = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}text") if t.text in CANDIDATES]
    assert names == sorted(CANDIDATES, key=CANDIDATES.__getitem__)


def test_figures_of_the_current_version_and_every_verdict_are_on_the_page() -> None:
    text = page(history())
    plain = words(text)
    assert "version 4" in plain
    assert "0.1234" in plain
    assert "1,234 customers" in plain
    assert all(f"verdict no. {n} &lt; &amp; &gt;" in text for n in range(1, 5))
    assert "NDCG@10, products new to the customer, 0.1050 to 0.1350" in plain


def test_who_promoted_a_version_and_why_is_said_and_cannot_become_markup() -> None:
    text = page(history(promoted=2, reason="<script>alert(1)</script>"))
    assert "Promoted by Ann &lt;b&gt; on 2026-02-03: &lt;script&gt;" in text
    assert "<script" not in text
    assert "promoted" in words(text).split("Verdicts")[1]


def test_a_promotion_written_by_hand_may_lack_author_and_time() -> None:
    made = history(promoted=2)
    bare = made.promotions.with_columns(
        author=pl.lit(None, pl.String), promoted_at=pl.lit(None, pl.Datetime("us"))
    )
    text = page(History(made.models, made.evaluation, made.trials, bare))
    assert "Promoted by somebody. It makes the lists until that is withdrawn." in text


def test_the_same_tables_give_the_same_page() -> None:
    assert page(history()) == page(history())


@pytest.mark.parametrize("versions", [1, 40])
def test_one_version_and_many_give_a_page(versions: int) -> None:
    assert len(plots(page(history(versions)))) == 5


def test_a_version_that_could_not_be_judged_gives_a_page_without_plots() -> None:
    made = history(1)
    row = made.models.with_columns(
        outcome=pl.lit("nothing"), published=False, is_current=False,
        metric_value=pl.lit(None, pl.Float64), popularity_value=pl.lit(None, pl.Float64),
    )  # fmt: skip
    bare = History(row, made.evaluation.clear(), made.trials.clear(), made.promotions)
    text = page(bare)
    assert plots(text) == []
    assert "No version makes lists" in text
    assert "verdict no. 1" in text


def test_a_shop_without_categories_or_some_segments_gives_a_page() -> None:
    made = history(2)
    some = made.evaluation.filter(
        (pl.col("metric") != "calibration") & ~pl.col("segment").is_in(["new", "heavy"])
    )
    text = page(History(made.models, some, made.trials, made.promotions))
    assert len(plots(text)) == 5
    assert "calibration, bits" not in text


def test_where_nobody_bought_anything_new_the_plots_about_it_are_left_out() -> None:
    made = history(1)
    text = page(
        History(made.models, made.evaluation.filter(target="all"), made.trials, made.promotions)
    )
    assert [svg.get("aria-label") for svg in plots(text)] == ["trials of the search: NDCG@10"]
    assert "All measures" in text


def test_bounds_are_those_of_the_recipe_that_the_gate_let_through() -> None:
    made = history(3)
    switched, refitted = made.models.row(1, named=True), made.models.row(2, named=True)
    assert candidate_of(switched) == "ease"
    assert candidate_of(refitted) == "running"
    assert bounds_of(made, switched) == pytest.approx((0.11, 0.14))
    assert bounds_of(made, refitted) == pytest.approx((0.105, 0.135))


def test_without_a_version_one_sentence_says_what_to_do() -> None:
    con = duckdb.connect()
    with pytest.raises(UserError, match="personalize run"):
        read_history(con)
    con.execute("CREATE SCHEMA recommendations")
    for table in (contracts.AlsModel, contracts.Evaluation, contracts.Trials):
        contract = contract_of(table)
        con.register("empty", contract.empty().to_arrow())
        con.execute(f"CREATE TABLE {contract.name} AS FROM empty")
    with pytest.raises(UserError, match="no customer's interactions"):
        read_history(con)
