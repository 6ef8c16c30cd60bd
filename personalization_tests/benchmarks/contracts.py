"""What it costs to judge typed rows by a contract and to split them with reasons.

Baseline: plain Pandera, `Model.validate(frame, lazy=True)` on the same eager frame, with the same
rules. It lists failures; it does not split the rows. Great Expectations checks the same columns of
fewer rows where `PERSONALIZE_GX_PYTHON` names an interpreter that has it (it is not in the lock):
`python3.11 -m venv .venv/gx && .venv/gx/bin/pip install great_expectations==1.24.1 pyarrow`.

The last table judges one record at a time, beside Pandera on a frame of one row.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandera.polars as pa
import polars as pl

from personalization_tests.benchmarks.measure import COST, Cost, measured, show, times

MOMENT = pl.Datetime("us")
CHANNELS = ["web", "app", "store", "phone"]
STATUSES = ["completed", "pending", "cancelled", "refunded"]
GX_PYTHON = "PERSONALIZE_GX_PYTHON"
BAD = 0.03
"""Share of rows with something wrong, evenly over six rules."""


class Sales(pa.DataFrameModel):
    """A sale, as wide as the tables of a shop usually are."""

    source: str = pa.Field(description="Source")
    order_id: str = pa.Field(description="Order", str_length={"min_value": 1, "max_value": 200})
    line_number: int = pa.Field(ge=0, le=1_000_000, description="Line")
    product_id: str = pa.Field(description="Product", str_length={"min_value": 1, "max_value": 200})
    quantity: int = pa.Field(ge=-1_000_000, le=1_000_000, description="Quantity")
    unit_price: float = pa.Field(ge=0, le=1e7, description="Price")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="Currency")
    total: float = pa.Field(ge=-1e7, le=1e7, nullable=True, description="Total")
    email: str = pa.Field(
        nullable=True, str_matches=r"^[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+$", description="E-mail"
    )
    phone: str = pa.Field(nullable=True, str_matches=r"^\+[1-9][0-9]{6,14}$", description="Phone")
    country: str = pa.Field(nullable=True, str_matches=r"^[A-Z]{2}$", description="Country")
    channel: str = pa.Field(nullable=True, isin=CHANNELS, description="Channel")
    status: str = pa.Field(isin=STATUSES, description="Status")
    ordered_at: MOMENT = pa.Field(description="Ordered")  # type: ignore[valid-type]
    shipped_at: MOMENT = pa.Field(nullable=True, description="Shipped")  # type: ignore[valid-type]
    gift: bool = pa.Field(nullable=True, description="Gift")

    class Config:
        name = "sales"
        unique = ["source", "order_id", "line_number"]
        metadata = {
            "room": "standardized",
            "key": ["source", "order_id", "line_number"],
            "grain": "one row per line",
            "warnings": ["channel.known"],
            "reject_limit": 0.2,
        }


class Keyless(Sales):
    """The same without the key, which Pandera finds slow to check."""

    class Config:
        name = "keyless"
        unique = None
        metadata = {"room": "standardized", "reject_limit": 0.2}


def sales(rows: int) -> pl.DataFrame:
    """Typed rows; one in 33 breaks a rule."""
    draw = np.random.default_rng(20)
    seconds = pl.Series(draw.integers(1_760_000_000, 1_790_000_000, rows))
    number = pl.int_range(rows, eager=True)
    frame = pl.DataFrame(
        {
            "source": pl.Series(["shop"]).new_from_index(0, rows),
            "order_id": "O" + (number // 3).cast(pl.String),
            "line_number": number % 3,
            "product_id": "P" + pl.Series(draw.integers(0, 20_000, rows)).cast(pl.String),
            "quantity": pl.Series(draw.integers(1, 5, rows)),
            "unit_price": pl.Series(draw.integers(100, 9999, rows) / 100),
            "currency": pl.Series(["EUR", "USD", "GBP"]).gather(draw.integers(0, 3, rows)),
            "email": "person"
            + pl.Series(draw.integers(0, rows, rows)).cast(pl.String)
            + "@x.example",
            "phone": "+4917" + pl.Series(draw.integers(10**7, 10**8, rows)).cast(pl.String),
            "country": pl.Series(["DE", "US", None]).gather(draw.integers(0, 3, rows)),
            "channel": pl.Series(CHANNELS).gather(draw.integers(0, 4, rows)),
            "status": pl.Series(STATUSES).gather(draw.integers(0, 4, rows)),
            "ordered_at": pl.from_epoch(seconds).cast(MOMENT),
            "gift": pl.Series(draw.random(rows) < 0.1),
        }
    ).with_columns(
        total=pl.col("quantity") * pl.col("unit_price"),
        shipped_at=pl.col("ordered_at") + dt.timedelta(days=2),
    )
    kind = pl.Series(np.where(draw.random(rows) < BAD, draw.integers(1, 7, rows), 0))
    broken = {
        1: pl.lit(None, pl.String).alias("product_id"),
        2: pl.lit(-1.0).alias("unit_price"),
        3: pl.lit("euro").alias("currency"),
        4: pl.lit("no address").alias("email"),
        5: pl.lit("lost").alias("status"),
        6: pl.lit(10**9, pl.Int64).alias("quantity"),
    }
    frame = frame.with_columns(
        pl.when(kind == n)
        .then(value)
        .otherwise(value.meta.output_name())
        .alias(value.meta.output_name())
        for n, value in broken.items()
    )
    return frame.select(list(Sales.to_schema().columns))


def auditing(rows: int) -> Callable[[], int]:
    """Work that splits the rows with reasons; gives how many are rejected."""
    from personalization_assets.contracts import contract_of

    frame, contract = sales(rows), contract_of(Sales)
    return lambda: int(contract.audit(frame).rejected.height)


def pandera(rows: int, model: type[pa.DataFrameModel]) -> Callable[[], int]:
    """Work of `validate(lazy=True)`; gives how many failures it lists."""
    frame = sales(rows)

    def work() -> int:
        try:
            model.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            return int(error.failure_cases.height)
        return 0

    return work


def records(rows: int) -> Callable[[], int]:
    """Work that judges records one by one; gives how many are rejected."""
    from personalization_assets.contracts import contract_of
    from personalization_assets.contracts.records import RecordValidator

    validator, given = RecordValidator(contract_of(Sales)), sales(rows).to_dicts()
    return lambda: sum(not validator.judge(record).accepted for record in given)


def one_row_frames(rows: int) -> Callable[[], int]:
    """Work of Pandera on frames of one row."""
    frames = list(sales(rows).iter_slices(1))

    def work() -> int:
        rejected = 0
        for frame in frames:
            try:
                Keyless.validate(frame, lazy=True)
            except pa.errors.SchemaErrors:
                rejected += 1
        return rejected

    return work


def great_expectations(rows: int, python: Path) -> tuple[int, Cost]:
    """Failures that Great Expectations counts, and what it costs in an interpreter of its own."""
    script = Path(__file__).parent / "rivals" / "gx_sales.py"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sales.parquet"
        sales(rows).write_parquet(file)
        done = subprocess.run(
            [python, script, file], capture_output=True, text=True, check=True, env=os.environ
        )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found["failures"], Cost(found["seconds"], found["cpu"], float(found["peak_mb"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--gx-rows", type=int, default=1_000_000)
    parser.add_argument("--records", type=int, default=2_000)
    asked = parser.parse_args()
    split(asked.rows, None)
    python = os.environ.get(GX_PYTHON)
    if python:
        split(asked.gx_rows, Path(python))
    else:
        print(f"\nGreat Expectations is left out: {GX_PYTHON} names no interpreter that has it.")
    rejected, ours = measured(records, asked.records)
    theirs_rejected, theirs = measured(one_row_frames, asked.records)
    show(
        f"{asked.records:,} records, one at a time",
        ["what", "rejected", "us a record", "to Pandera"],
        [
            [name, f"{n:,}", f"{cost.cpu / asked.records * 1e6:,.1f}", times(theirs.cpu, cost.cpu)]
            for name, n, cost in (
                ("Pandera, frames of one row", theirs_rejected, theirs),
                ("RecordValidator.judge", rejected, ours),
            )
        ],
    )


def split(rows: int, gx: Path | None) -> None:
    """The table of one size."""
    failures, baseline = measured(pandera, rows, Sales)
    without, keyless = measured(pandera, rows, Keyless)
    rejected, ours = measured(auditing, rows)
    costs = [
        (f"Pandera, lazy=True: {failures:,} failures", baseline),
        (f"Pandera, without the key: {without:,} failures", keyless),
        (f"audit: {rejected:,} rejected with reasons", ours),
    ]
    if gx:
        counted, theirs = great_expectations(rows, gx)
        costs.append((f"Great Expectations: {counted:,} failures", theirs))
    show(
        f"{rows:,} rows of 16 columns, 3 % bad",
        ["what", *COST, "rows/CPU s", "to Pandera"],
        [
            [what, *c.cells(), f"{rows / c.cpu:,.0f}", times(baseline.cpu, c.cpu)]
            for what, c in costs
        ],
    )


if __name__ == "__main__":
    main()
