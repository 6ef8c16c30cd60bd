"""The rules of `contracts.Sales` in Great Expectations, on a Parquet file; prints JSON.

Run by an environment of its own (`contracts.py` says how to make it). `COMPLETE` results list the
failing rows, which splitting them needs.
"""

import json
import os
import resource
import sys
import time

import great_expectations as gx
import pandas as pd

EXPECT = gx.expectations
KEY = ["source", "order_id", "line_number"]
CHANNELS = ["web", "app", "store", "phone"]
STATUSES = ["completed", "pending", "cancelled", "refunded"]
FILLED = [*KEY, "product_id", "quantity", "unit_price", "currency", "status", "ordered_at"]
PATTERNS = {
    "currency": r"^[A-Z]{3}$",
    "email": r"^[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+$",
    "phone": r"^\+[1-9][0-9]{6,14}$",
    "country": r"^[A-Z]{2}$",
}
RANGES = {
    "line_number": (0, 1_000_000),
    "quantity": (-1_000_000, 1_000_000),
    "unit_price": (0, 1e7),
    "total": (-1e7, 1e7),
}


def cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> None:
    frame = pd.read_parquet(sys.argv[1])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("sales")
    whole = source.add_dataframe_asset("sales").add_batch_definition_whole_dataframe("sales")
    suite = context.suites.add(gx.ExpectationSuite("sales"))
    for column in FILLED:
        suite.add_expectation(EXPECT.ExpectColumnValuesToNotBeNull(column=column))
    for column in ("order_id", "product_id"):
        suite.add_expectation(
            EXPECT.ExpectColumnValueLengthsToBeBetween(column=column, min_value=1, max_value=200)
        )
    for column, pattern in PATTERNS.items():
        suite.add_expectation(EXPECT.ExpectColumnValuesToMatchRegex(column=column, regex=pattern))
    for column, (low, high) in RANGES.items():
        suite.add_expectation(
            EXPECT.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high)
        )
    for column, known in (("channel", CHANNELS), ("status", STATUSES)):
        suite.add_expectation(EXPECT.ExpectColumnValuesToBeInSet(column=column, value_set=known))
    suite.add_expectation(EXPECT.ExpectCompoundColumnsToBeUnique(column_list=KEY))
    validation = gx.ValidationDefinition(name="sales", data=whole, suite=suite)
    context.validation_definitions.add(validation)
    spent, started = cpu(), time.perf_counter()
    result = validation.run(
        batch_parameters={"dataframe": frame}, result_format={"result_format": "COMPLETE"}
    )
    seconds, spent = time.perf_counter() - started, cpu() - spent
    failures = sum(r.result.get("unexpected_count", 0) for r in result.results)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    costs = {"seconds": seconds, "cpu": spent, "peak_mb": peak}
    print(json.dumps({"failures": failures, **costs}))


if __name__ == "__main__":
    main()
