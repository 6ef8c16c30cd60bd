"""How well missing attributes are predicted, and what that costs per million customers.

    python -m personalization_tests.benchmarks.enrichment [warehouse.duckdb] [--customers 1000000]

With a warehouse: accuracy on held-out known values against the commonest value. Then its customers
are copied until there are so many, and training and filling are timed (CPU seconds). The copies are
for the time only: their accuracy means nothing.
"""

import argparse
import time
from pathlib import Path

import duckdb

from personalization_assets.profiles.imputing import TARGETS, Imputed, impute
from personalization_assets.profiles.settings import ProfilesSettings

SIGNALS = "profiles.imputation_signals"


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warehouse", type=Path, nargs="?", default=Path("data/warehouse.duckdb"))
    parser.add_argument("--customers", type=int, default=1_000_000)
    options = parser.parse_args()
    settings = ProfilesSettings()
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute(f"ATTACH '{options.warehouse}' AS shop (READ_ONLY)")
        con.execute("CREATE SCHEMA profiles")
        con.execute(f"CREATE TABLE {SIGNALS} AS FROM shop.{SIGNALS}").fetchall()
        for attribute in TARGETS:
            _say(impute(con, attribute, settings, seed=20))
        people = con.execute(f"SELECT count(*) FROM {SIGNALS}").fetchall()[0][0]
        copies = -(-options.customers // people)
        con.execute(
            f"CREATE OR REPLACE TABLE {SIGNALS} AS SELECT * REPLACE ("
            " customer_id || '.' || i AS customer_id, household_id || '.' || i AS household_id)"
            f" FROM {SIGNALS}, range({copies}) AS copies(i) LIMIT {options.customers}"
        ).fetchall()
        for attribute in TARGETS:
            started = time.process_time()
            found = impute(con, attribute, settings, seed=20)
            seconds = time.process_time() - started
            print(
                f"{attribute}: {options.customers:,} customers, {found.known:,} learned from, "
                f"{found.missing:,} without: {seconds:.1f} CPU s"
            )


def _say(found: Imputed) -> None:
    quality = found.quality
    print(f"{found.attribute}: {found.reason}")
    if quality:
        print(
            f"  {quality.known:,} known; accuracy {quality.accuracy:.3f}, commonest value "
            f"{quality.baseline:.3f}, gain {quality.low:+.3f} to {quality.high:+.3f}; log loss "
            f"{quality.log_loss:.3f}, shares {quality.baseline_log_loss:.3f}; calibration error "
            f"{quality.calibration_error:.3f}; {found.filled.height:,} of {found.missing:,} filled"
        )


if __name__ == "__main__":
    main()
