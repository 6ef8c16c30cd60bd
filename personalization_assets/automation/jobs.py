"""The job of the platform: everything, in the order of the graph, in one process."""

import dagster as dg

refresh = dg.define_asset_job(
    name="refresh",
    selection=dg.AssetSelection.all(),
    # One interpreter for the whole run: starting one per step costs ten times the CPU, and a
    # DuckDB file has one writer.
    executor_def=dg.in_process_executor,
    description=(
        "Refreshes every table, from the extracts to the rendered e-mails, and runs every check. "
        "The run's time can be set in the Launchpad: resources > clock > config > as_of."
    ),
    tags={"personalize/job": "refresh"},
)
