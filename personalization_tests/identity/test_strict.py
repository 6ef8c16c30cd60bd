"""What may be shown to whom, and what is tied by no guess, inside the customers of links."""

import datetime as dt
from typing import Any

import duckdb
import polars as pl
import pytest

from personalization_assets.identity.model import Model
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.strict import strict_links
from personalization_tests.identity.people import AS_OF, Result, records, resolve, town
from personalization_tests.identity.test_who_is_who import ANNA

LATER = AS_OF + dt.timedelta(days=1)
Pair = tuple[int, int, float, str]


def divide(clusters: list[int], pairs: list[Pair], first: str = "a") -> list[dict[str, Any]]:
    """Rows for records 0, 1, ... of these clusters; pairs are (left, right, probability, cause)."""
    con = duckdb.connect()
    con.execute("CREATE TABLE pair (l BIGINT, r BIGINT, p DOUBLE, cause VARCHAR)")
    for pair in pairs:
        con.execute("INSERT INTO pair VALUES (?, ?, ?, ?)", pair)
    con.execute("CREATE TABLE cluster_of (rid BIGINT, cluster BIGINT)")
    con.execute("CREATE TABLE numbered (rid BIGINT, source VARCHAR, record_id VARCHAR)")
    for rid, cluster in enumerate(clusters):
        con.execute("INSERT INTO cluster_of VALUES (?, ?)", [rid, cluster])
        con.execute("INSERT INTO numbered VALUES (?, 's', ?)", [rid, f"{first}{rid}"])
    con.execute(
        "CREATE TABLE carried AS SELECT source, record_id, cluster,"
        " 'c_' || lpad(cluster::VARCHAR, 16, '0') AS customer_id"
        " FROM numbered JOIN cluster_of USING (rid)"
    )
    return pl.DataFrame(strict_links(con, IdentitySettings(), "m")).to_dicts()


def groups(rows: list[dict[str, Any]], column: str) -> list[list[int]]:
    """The positions of rows that share a value, in order."""
    by: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        by.setdefault(row[column], []).append(position)
    return list(by.values())


@pytest.mark.parametrize(
    ("tie", "strict", "certain", "tied_by", "confidence"),
    [
        ((0.99, "model"), True, False, "model", 0.99),
        ((0.98, "model"), False, False, "alone", 1.0),
        ((0.2, "account"), True, True, "account", 1.0),
        ((1.0, "exact"), True, True, "exact", 1.0),
        ((1.0, "decision"), True, True, "decision", 1.0),
        ((0.0, "decision"), False, False, "alone", 1.0),
        ((0.999, "owner_l"), False, False, "alone", 1.0),
        ((0.999, "name_r"), False, False, "alone", 1.0),
    ],
)
def test_what_ties(
    tie: tuple[float, str], strict: bool, certain: bool, tied_by: str, confidence: float
) -> None:
    one, two = divide([7, 7], [(0, 1, *tie)])
    assert one["customer_id"] == two["customer_id"]
    assert (one["strict_id"] == two["strict_id"]) == strict
    assert (one["certain_id"] == two["certain_id"]) == certain
    assert (two["tied_by"], two["confidence"]) == (tied_by, confidence)


def test_chains_hold_together_and_never_leave_the_customer() -> None:
    rows = divide(
        [0, 0, 0, 1, 1],
        [
            (0, 1, 1.0, "exact"),
            (1, 2, 0.995, "model"),
            (2, 3, 1.0, "account"),
            (3, 4, 0.5, "model"),
        ],
    )
    assert groups(rows, "strict_id") == [[0, 1, 2], [3], [4]]
    assert groups(rows, "certain_id") == [[0, 1], [2], [3], [4]]


def test_a_chain_of_probable_pairs_does_not_reach_over_an_improbable_one() -> None:
    chain = [(0, 1, 0.999, "model"), (1, 2, 0.995, "model")]
    assert groups(divide([0, 0, 0], chain), "strict_id") == [[0, 1, 2]]
    doubtful = divide([0, 0, 0], [*chain, (0, 2, 0.3, "model")])
    assert groups(doubtful, "strict_id") == [[0, 1], [2]]
    assert (doubtful[2]["tied_by"], doubtful[2]["confidence"]) == ("alone", 1.0)
    # An exact duplicate brings its doubts with it; what is certain is not doubted.
    copied = divide([0, 0, 0, 0], [*chain, (0, 2, 0.3, "model"), (1, 3, 1.0, "exact")])
    assert groups(copied, "strict_id") == [[0, 1, 3], [2]]
    agreed = divide([0, 0, 0], [*chain, (0, 2, 0.3, "account")])
    assert groups(agreed, "strict_id") == [[0, 1, 2]]


def test_the_largest_group_keeps_the_customers_id() -> None:
    rows = divide([5] * 4, [(1, 2, 1.0, "exact")])
    assert rows[1]["strict_id"] == "s_" + rows[0]["customer_id"][2:]
    assert rows[1]["certain_id"] == "k_" + rows[0]["customer_id"][2:]
    assert len({r["strict_id"] for r in rows}) == 3
    # Of equal groups it is the one with the smallest record.
    tied = divide([5, 5], [])
    assert tied[0]["strict_id"] == "s_" + tied[0]["customer_id"][2:]
    assert divide([], []) == []


def test_a_town_is_divided_and_stays_so(
    resolved: Result, townsfolk: tuple[pl.DataFrame, pl.DataFrame], model: Model
) -> None:
    both = resolved.strict.join(
        resolved.links, on=["source", "record_id", "customer_id"], how="full", coalesce=True
    )
    assert both.height == resolved.links.height == resolved.strict.height
    for finer, coarser in (("certain_id", "strict_id"), ("strict_id", "customer_id")):
        per = resolved.strict.group_by(finer).agg(pl.col(coarser).n_unique())
        assert per[coarser].max() == 1
        assert resolved.strict[finer].n_unique() > resolved.strict[coarser].n_unique()
    newcomers, _ = town(80, seed=9)
    newcomers = newcomers.with_columns(record_id=pl.lit("a-") + pl.col("record_id"))
    after = resolve(pl.concat([newcomers, townsfolk[0]]), model, before=resolved, as_of=LATER)
    again = resolved.strict.join(after.strict, on=["source", "record_id"])
    assert again.height == resolved.strict.height
    kept = again.filter(pl.col("customer_id") == pl.col("customer_id_right"))
    assert (kept["strict_id"] == kept["strict_id_right"]).mean() == 1
    assert (kept["certain_id"] == kept["certain_id_right"]).mean() == 1


def test_a_verdict_makes_two_records_certain_and_its_withdrawal_undoes_it(model: Model) -> None:
    frame = records({"id": "a", **ANNA}, {"id": "b", "email": "elsewhere@mail.example"})
    joined = resolve(frame, model, None, [("a", "b", "same")])
    assert joined.strict["certain_id"].n_unique() == 1
    parted = resolve(frame, model, joined, None, LATER)
    assert parted.strict["strict_id"].n_unique() == parted.strict["certain_id"].n_unique() == 2
