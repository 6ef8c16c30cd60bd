"""The room on a data set, as `personalize identity train` and `link --records` run it."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from personalization_tests.benchmarks.identity_data import DataSet, compared

THREADS = 2
LATER = dt.datetime(2026, 11, 1)


def room(data: DataSet) -> Callable[[], tuple[dict[str, float], list[dict[str, Any]]]]:
    """Work that reads, trains, links and writes; gives the scores and the calibration table."""

    def work() -> tuple[dict[str, float], list[dict[str, Any]]]:
        from personalization_assets.identity.comparison import load_comparisons
        from personalization_assets.identity.files import FileOptions, read_records
        from personalization_assets.identity.standalone import (
            link_table,
            train_model,
            write_links,
        )
        from personalization_assets.identity.workspace import workspace

        options = FileOptions.model_validate({"compare": compared(data)})
        extras = [c.extra for c in options.compare]
        with workspace({}) as con:
            con.execute(f"SET threads = {THREADS}")
            read_records(con, data.records, options, "person")
            model = train_model(con, load_comparisons(), extras, options.settings)
            report = link_table(con, model, options.settings)
            write_links(con, data.folder / "links.parquet")
        assert report.scores is not None
        assert report.calibration is not None
        return report.scores, report.calibration.to_dicts()

    return work


def training(records: Path, model_file: Path) -> Callable[[], int]:
    """Work that reads a file and writes its model; gives the number of records it learned from."""

    def work() -> int:
        from personalization_assets.identity.comparison import load_comparisons
        from personalization_assets.identity.files import FileOptions, read_records
        from personalization_assets.identity.standalone import train_model
        from personalization_assets.identity.workspace import workspace

        options = FileOptions()
        with workspace({}) as con:
            con.execute(f"SET threads = {THREADS}")
            read_records(con, records, options)
            model = train_model(con, load_comparisons(), [], options.settings)
        model_file.write_text(model.to_json(), encoding="utf-8")
        return model.records

    return work


def linking(
    records: Path,
    model_file: Path,
    out: Path,
    previous: Path | None = None,
    threshold: float | None = None,
) -> Callable[[], tuple[int, int, int]]:
    """Work that links a file with a trained model; gives records, customers and pairs compared.

    The imports are part of it, so what is measured is what a run of the command costs.
    """

    def work() -> tuple[int, int, int]:
        from personalization_assets.identity.files import FileOptions, read_model, read_records
        from personalization_assets.identity.standalone import (
            FIRST_RUN,
            link_table,
            read_previous,
            write_links,
        )
        from personalization_assets.identity.workspace import workspace

        settings = FileOptions().settings
        if threshold is not None:
            settings = settings.model_copy(update={"match_threshold": threshold})
        model = read_model(model_file)
        with workspace({}) as con:
            con.execute(f"SET threads = {THREADS}")
            read_records(con, records, FileOptions())
            if previous:
                read_previous(con, previous)
            report = link_table(con, model, settings, LATER if previous else FIRST_RUN)
            write_links(con, out)
        return report.records, report.customers, report.pairs

    return work
