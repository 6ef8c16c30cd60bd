"""The rates of `benchmarks/drift_rates.py` in small: injected drift is found, a resample is not."""

from collections import Counter
from typing import Any

import duckdb
import pytest

from personalization_tests.benchmarks.drift_rates import KINDS, trial

SUBTLE = {"mean +0.2 sd", "5 points to another label", "new label, 1 % of rows"}
"""What this many rows need not tell from chance in every trial."""


@pytest.mark.parametrize(("rows", "trials"), [(150, 2), (3000, 3)])
def test_drift_is_found_and_a_resample_raises_nothing(rows: int, trials: int) -> None:
    seen: Counter[tuple[str, Any]] = Counter()
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("CREATE SCHEMA trial").fetchall()
        for seed in range(trials):
            seen.update(trial(con, rows, seed))
    false_alarms = [key for key in seen if isinstance(key[1], tuple) and key[1][0] == "found"]
    assert false_alarms == []
    found = {kind.name for kind in KINDS if seen[kind.name, "found"] == trials}
    if rows < 1000:  # what no sample of this size could bring by chance is found all the same
        assert found >= {"units x100", "constant number", "constant key", "all moments the same"}
    else:
        assert found >= {kind.name for kind in KINDS} - SUBTLE
