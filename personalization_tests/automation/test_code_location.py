"""What Dagster loads before it can show the graph: the definitions, and none of what runs them."""

import subprocess
import sys

HEAVY = {
    "currency_converter",
    "email_validator",
    "implicit",
    "liquid",
    "mjml",
    "phonenumbers",
    "pyarrow.parquet",
    "pycountry",
    "scipy",
    "splink",
    "sqlglot.lineage",
    "threadpoolctl",
    "personalization_assets.emails.building",
    "personalization_assets.emails.campaigns",
    "personalization_assets.recommendations.training",
    "personalization_assets.recommendations.lists",
    "personalization_assets.sample",
}

LOAD = """
import sys
from personalization_assets.definitions import definitions
definitions()
print(*sys.modules)
"""


def test_the_code_location_loads_no_library_that_only_a_run_needs() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "personalization_assets.emails.assets" in loaded
    assert sorted(HEAVY.intersection(loaded)) == []
