"""Wiring: one asset per source of `sources.yaml`, and `sources/files` about all their files."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from personalization_assets.settings import Settings
from personalization_assets.sources.config import Source, SourcesConfig
from personalization_assets.sources.expressions import check
from personalization_assets.sources.files_table import FILES, create_files_table
from personalization_assets.sources.load import Report, load_source
from personalization_assets.sources.settings import SourcesSettings
from personalization_assets.tables import POOL, Clock, open_run, user_errors
from personalization_assets.warehouse import Warehouse

ROOM = "sources"
LINEAGE = (
    dg.TableColumn("_batch_id", "VARCHAR", "Version of the file that the row was read from"),
    dg.TableColumn("_extracted_at", "TIMESTAMP", "Time of the run that loaded it (UTC)"),
    dg.TableColumn("_row_key", "VARCHAR", "Batch and number of the record in its file, from 1"),
    dg.TableColumn("_bad_line", "VARCHAR", "A line that is no row, as received; all else is null"),
)
LISTED = 20
"""So many files are named in the metadata; all are in `sources.files`."""


def build_source_assets(
    config: SourcesConfig, reading: SourcesSettings | None = None
) -> list[dg.AssetsDefinition]:
    """The assets of the room for a sources file: one per source in its order, then `files`."""
    reading = reading or SourcesSettings()
    tables = [_source_asset(config, name, reading) for name in config.sources]
    return [*tables, _files_asset(config)]


def _source_asset(
    config: SourcesConfig, name: str, reading: SourcesSettings
) -> dg.AssetsDefinition:
    source = config.sources[name]
    key = dg.AssetKey([ROOM, name])

    @dg.multi_asset(
        name=f"{ROOM}__{name}",
        specs=[_spec(name, source)],
        check_specs=[
            dg.AssetCheckSpec(
                "every_file_was_read",
                asset=key,
                description="No file of the source was refused: each could be read as a whole.",
            ),
            dg.AssetCheckSpec(
                "mapped_columns_are_there",
                asset=key,
                description="The latest files have every column that sources.yaml maps.",
            ),
        ],
        pool=POOL,
    )
    def asset(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        clock: Clock,
        settings: dg.ResourceParam[Settings],
    ) -> Iterator[Any]:
        started = time.monotonic()
        with user_errors(), open_run(context, warehouse, clock, settings) as run:
            check(config)
            report = load_source(run.con, config, name, run.as_of, reading)
            run.progress(f"{name}: {in_words(report)}")
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name="every_file_was_read",
                passed=not report.refused,
                severity=dg.AssetCheckSeverity.WARN if report.rows else dg.AssetCheckSeverity.ERROR,
                description=" ".join(report.problems()) or "Every file was read.",
                metadata={"files_refused": len(report.refused)},
            )
            lost = [f"{m.in_words(name)}." for m in report.missing]
            for sentence in lost:
                run.progress(f"{name}: warning: {sentence}")
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name="mapped_columns_are_there",
                passed=not lost,
                severity=dg.AssetCheckSeverity.WARN,
                description=" ".join(lost[:LISTED]) or "Every mapped column is there.",
                metadata={"columns_missing": len(lost)},
            )
            yield dg.MaterializeResult(
                asset_key=key, metadata=_metadata(name, report, time.monotonic() - started)
            )

    return asset


def _spec(name: str, source: Source) -> dg.AssetSpec:
    about = source.description.strip() or f"The source {name}"
    feeds = ", ".join(source.feeds)
    return dg.AssetSpec(
        key=dg.AssetKey([ROOM, name]),
        description=(
            f"{about.rstrip('.')}. As received, every value as text; feeds {feeds}.\n\n"
            f"Grain: one row per record of its {source.format} files. Key: _row_key."
        ),
        group_name=ROOM,
        owners=[source.owner],
        kinds={"duckdb", {"csv": "csv", "ndjson": "json", "parquet": "parquet"}[source.format]},
        tags={"pii": "true"} if _names_people(source) else {},
        metadata={
            "dagster/table_name": f"{ROOM}.{name}",
            "dagster/column_schema": dg.TableSchema(
                columns=[*LINEAGE, *(_column(c, source) for c in source.mapped_columns())]
            ),
            "path": source.path,
        },
    )


def _column(name: str, source: Source) -> dg.TableColumn:
    uses = [
        f"{table}.{column}"
        for table, feed in source.feeds.items()
        for column, mapped in feed.columns.items()
        if mapped.column == name
    ]
    return dg.TableColumn(
        name, "VARCHAR", f"Becomes {', '.join(uses)}" if uses else "Tells which rows are one"
    )


def _names_people(source: Source) -> bool:
    return any(table not in ("products", "order_lines") for table in source.feeds)


def _files_asset(config: SourcesConfig) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{ROOM}__files",
        specs=[
            dg.AssetSpec(
                key=dg.AssetKey([ROOM, "files"]),
                deps=[dg.AssetKey([ROOM, name]) for name in config.sources],
                description=(
                    "Every version of every file that was loaded or refused, with the reason. "
                    "Written by the sources themselves as they load.\n\n"
                    "Grain: one row per version of a file. Key: source, path, batch_id."
                ),
                group_name=ROOM,
                owners=["team:data"],
                kinds={"duckdb"},
                metadata={
                    "dagster/table_name": f"{ROOM}.files",
                    "dagster/column_schema": dg.TableSchema(
                        columns=[dg.TableColumn(n, t, about) for n, (t, about) in FILES.items()]
                    ),
                },
            )
        ],
        pool=POOL,
    )
    def asset(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        clock: Clock,
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult[Any]:
        with user_errors(), open_run(context, warehouse, clock, settings) as run:
            create_files_table(run.con)
            counts = run.con.execute(
                "SELECT status, count(*) FROM sources.files GROUP BY status ORDER BY status"
            ).fetchall()
            total = sum(count for _, count in counts)
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": total,
                    **{f"files_{status}": count for status, count in counts},
                }
            )

    return asset


def in_words(report: Report) -> str:
    """What a run did with a source, in one line."""
    parts = [f"{report.rows:,} rows"]
    if report.loaded:
        parts.append(f"{len(report.loaded)} files loaded ({report.rows_loaded:,} rows)")
    for count, what in (
        (len(report.unchanged), "unchanged"),
        (len(report.waiting), "still being written"),
        (len(report.refused), "refused"),
        (report.bad_lines, "unreadable lines kept"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    return ", ".join([*parts, *report.notes])


def _metadata(name: str, report: Report, seconds: float) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": report.rows,
        "rows_loaded": report.rows_loaded,
        "unreadable_lines": report.bad_lines,
        "files_loaded": len(report.loaded),
        "files_unchanged": len(report.unchanged),
        "files_refused": len(report.refused),
        "files_waiting": len(report.waiting),
        "changed": report.changed,
        "seconds": round(seconds, 3),
        "summary": in_words(report),
    }
    if report.waiting:
        left = [f"{name}: {reason}" for name, reason in report.waiting.items()]
        metadata["left_for_the_next_run"] = "\n".join(left[:LISTED])
    if report.notes:
        metadata["notes"] = "\n".join(report.notes[:LISTED])
    if report.missing:
        sentences = [f"{m.in_words(name)}." for m in report.missing]
        metadata["missing_columns"] = "\n".join(sentences[:LISTED])
    if report.refused:
        metadata["refused"] = "\n".join(report.problems()[:LISTED])
    return metadata
