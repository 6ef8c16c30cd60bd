"""How right the identity room's links are, on three shops whose truth is known.

Baselines, on the same records: one e-mail is one person; rules that anybody would write in SQL; and
Splink as it comes (its own comparisons, random sampling for u, EM, connected components). One
account is one person to all of them but the first, as it is to the room.
"""

import argparse
import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_tests.benchmarks.measure import (
    COST,
    NO_SHARED_DATA,
    Cost,
    measured,
    scratch,
    shared_data,
    show,
)
from personalization_tests.benchmarks.shops import real_records, sample_records

AS_OF = dt.datetime(2026, 11, 1)
Scores = dict[str, float]
NAME = "lower(given_name) || ' ' || lower(family_name)"
RULES = {
    "same e-mail": ["email"],
    "SQL rules": [
        "account_key",
        "email",
        "phone",
        f"{NAME} || '|' || birth_date::VARCHAR",
        f"{NAME} || '|' || lower(street) || '|' || postcode",
    ],
    "SQL rules, as good as we can": [
        "account_key",
        "CASE WHEN email_names > 1 THEN email || initial ELSE email END",
        "CASE WHEN phone_names > 1 THEN phone || initial ELSE phone END",
        "lower(given_name) || '|' || birth_date::VARCHAR",
        "initial || '|' || lower(family_name) || '|' || birth_date::VARCHAR",
        f"{NAME} || '|' || postcode",
    ],
}
"""Records that agree on one of the keys are one person, closed transitively.

`email_names` and `phone_names` count the initials of first names that use the same one.
"""

PROBABILITIES = (0.5, 0.8, 0.95, 0.99, 0.999)


def room(records: Path, truth: Path) -> Callable[[], Scores]:
    """Work that trains and links with the room's public functions and gives its scores."""
    from personalization_assets.contracts import contract_of
    from personalization_assets.identity.comparison import load_comparisons
    from personalization_assets.identity.contracts import Ledger
    from personalization_assets.identity.linking import link
    from personalization_assets.identity.matching import match
    from personalization_assets.identity.normalise import prepare
    from personalization_assets.identity.settings import IdentitySettings
    from personalization_assets.identity.training import train
    from personalization_assets.identity.workspace import workspace

    def work() -> Scores:
        settings, comparisons = IdentitySettings(), load_comparisons()
        frame = pl.read_parquet(records).to_arrow()
        previous = pl.DataFrame(
            schema=dict.fromkeys(["source", "record_id", "customer_id"], pl.String)
        )
        with workspace({"records": frame}) as con:
            con.execute("SET threads = 2")
            prepare(con, settings, tuple(comparisons.role_mailboxes.split()))
            model = train(con, comparisons, settings)
        with workspace({"records": frame}) as con:
            con.execute("SET threads = 2")
            tables = {
                "records": frame,
                "matches": match(con, model, settings),
                "previous": previous.to_arrow(),
                "ledger": contract_of(Ledger).empty().to_arrow(),
            }
        with workspace(tables) as con:
            con.execute("SET threads = 2")
            home = model.household.share if model.household else None
            linked = link(con, model.share, home, settings, AS_OF)
        return _scores(pl.DataFrame(linked.links), truth)

    return work


def rules(records: Path, truth: Path, keys: list[str]) -> Callable[[], Scores]:
    """Work that joins records which agree on a key, and gives its scores."""

    def work() -> Scores:
        frame = pl.read_parquet(records)
        left, right = _agreeing(frame, keys)
        return _closed(frame, left, right, truth)

    return work


def stock_splink(records: Path, truth: Path) -> Callable[[], dict[str, Scores]]:
    """Work that trains and predicts with Splink's own parts; scores by threshold."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    def work() -> dict[str, Scores]:
        original = pl.read_parquet(records)
        lower = pl.col(pl.String).str.to_lowercase()
        frame = original.with_row_index("unique_id").with_columns(lower)
        filled = {c for c in frame.columns if frame[c].null_count() < 0.9 * frame.height}
        comparisons: dict[str, Any] = {
            "given_name": cl.NameComparison("given_name"),
            "family_name": cl.NameComparison("family_name"),
            "birth_date": cl.DateOfBirthComparison("birth_date", input_is_string=False),
            "email": cl.EmailComparison("email"),
            "phone": cl.ExactMatch("phone"),
            "street": cl.JaroWinklerAtThresholds("street"),
            "postcode": cl.ExactMatch("postcode"),
        }
        blocks = [
            ["email"],
            ["phone"],
            ["given_name", "family_name"],
            ["family_name", "birth_date"],
            ["given_name", "birth_date"],
            ["family_name", "postcode"],
        ]
        con = duckdb.connect(config={"threads": 2})
        con.execute("SET enable_progress_bar = false")
        api = DuckDBAPI(con)
        linker = Linker(
            api.register(frame.to_arrow()),
            SettingsCreator(
                link_type="dedupe_only",
                comparisons=[c for name, c in comparisons.items() if name in filled],
                blocking_rules_to_generate_predictions=[
                    block_on(*b) for b in blocks if filled.issuperset(b)
                ],
            ),
            log_level=logging.ERROR,
        )
        training = linker.training
        sure = [["email", "given_name"], ["given_name", "family_name", "birth_date"]]
        training.estimate_probability_two_random_records_match(
            [block_on(*b) for b in sure if filled.issuperset(b)], recall=0.7
        )
        training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
        for block in (["given_name", "family_name"], ["birth_date"], ["email"]):
            if filled.issuperset(block):
                training.estimate_parameters_using_expectation_maximisation(block_on(*block))
        predicted = linker.inference.predict(0.1, warning_mode="never")
        pairs = con.sql(
            "SELECT unique_id_l AS l, unique_id_r AS r, match_probability AS p"
            f" FROM {predicted.physical_name}"
        ).fetchnumpy()
        left, right = _agreeing(frame, ["account_key"])
        found = {}
        for least in PROBABILITIES:
            keep = pairs["p"] >= least
            found[f"{least}"] = _closed(
                original,
                np.concatenate([np.asarray(pairs["l"][keep], np.int64), left]),
                np.concatenate([np.asarray(pairs["r"][keep], np.int64), right]),
                truth,
            )
        return found

    return work


def _agreeing(frame: pl.DataFrame, keys: list[str]) -> tuple[Any, Any]:
    """Pairs of row numbers: each record and the first record with the same value of a key."""
    con = duckdb.connect(config={"threads": 2})
    con.register("numbered", frame.with_columns(n=pl.int_range(pl.len())).to_arrow())
    con.execute(
        """
        CREATE TABLE r AS
        WITH named AS (SELECT *, left(lower(given_name), 1) AS initial FROM numbered)
        SELECT *, count(DISTINCT initial) OVER (PARTITION BY email) AS email_names,
            count(DISTINCT initial) OVER (PARTITION BY phone) AS phone_names
        FROM named
        """
    )
    joined = " UNION ALL ".join(
        f"SELECT n AS l, min(n) OVER (PARTITION BY {key}) AS r FROM r WHERE ({key}) IS NOT NULL"
        for key in keys
    )
    rows = con.sql(joined).fetchnumpy()
    return np.asarray(rows["l"], np.int64), np.asarray(rows["r"], np.int64)


def _closed(frame: pl.DataFrame, left: Any, right: Any, truth: Path) -> Scores:
    from personalization_assets.identity.matching import components

    labels = pl.Series(components(left, right, frame.height)).cast(pl.String)
    return _scores(frame.select("source", "record_id", customer_id=labels), truth)


def _scores(links: pl.DataFrame, truth: Path) -> Scores:
    from personalization_assets.identity.evaluation import evaluate

    known = pl.read_csv(truth, infer_schema_length=0)
    return dict(evaluate(links, known).iter_rows())


def fake_1000(folder: Path, shared: Path) -> tuple[Path, Path]:
    """Splink's sample people as identity.records, and their truth."""
    people = pl.read_csv(shared / "identity" / "fake_1000.csv", infer_schema_length=0)
    empty = dict.fromkeys(
        ["account_key", "phone", "street", "postcode", "country", "device_id"],
        pl.lit(None, pl.String),
    )
    records = people.select(
        source=pl.lit("fake"),
        record_id="unique_id",
        entity=pl.lit("crm_contacts"),
        given_name="first_name",
        family_name="surname",
        email="email",
        birth_date=pl.col("dob").str.to_date("%Y-%m-%d", strict=False),
        city="city",
        updated_at=pl.lit(AS_OF).cast(pl.Datetime("us")),
        **empty,
    )
    folder.mkdir()
    records.write_parquet(folder / "records.parquet")
    truth = people.select(source=pl.lit("fake"), key="unique_id", person="cluster")
    truth.write_csv(folder / "truth.csv")
    return folder / "records.parquet", folder / "truth.csv"


def compare(title: str, records: Path, truth: Path) -> None:
    """Print the table of one shop."""
    rows: list[list[str]] = []

    def add(name: str, scores: Scores, cost: Cost | None) -> None:
        names = ("precision", "recall", "f1")
        figures = [f"{scores[f'{kind}_{n}']:.3f}" for kind in ("pair", "b_cubed") for n in names]
        rows.append([name, *figures, *(cost.cells() if cost else ["", "", ""])])

    for name, keys in RULES.items():
        add(name, *measured(rules, records, truth, keys))
    stock, cost = measured(stock_splink, records, truth)
    add("stock Splink, 0.95", stock["0.95"], cost)
    best = max(stock, key=lambda least: stock[least]["pair_f1"])
    add(f"stock Splink, its best ({best})", stock[best], None)
    scores, cost = measured(room, records, truth)
    add("the room", scores, cost)
    heads = ["pair P", "pair R", "pair F1", "B3 P", "B3 R", "B3 F1"]
    about = f"{int(scores['records']):,} records of {int(scores['people']):,} people in the truth"
    show(f"{title}: {about}", ["method", *heads, *COST], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5_000, help="of the sample shop")
    people = parser.parse_args().people
    shared = shared_data()
    with scratch() as folder:
        if shared:
            compare("fake_1000", *fake_1000(folder / "fake", shared))
            records, _ = measured(real_records, folder / "real", shared)
            compare("Real shop", records, shared / "real-shop" / "truth.csv")
        else:
            print(f"fake_1000 and the real shop {NO_SHARED_DATA}")
        records, _ = measured(sample_records, folder / "sample", people)
        truth = folder / "sample" / "landing" / "truth" / "truth.csv"
        compare(f"Sample shop of {people:,}", records, truth)


if __name__ == "__main__":
    main()
