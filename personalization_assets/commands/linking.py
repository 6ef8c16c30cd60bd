"""`personalize identity train` and `link`: learn how alike records are, and who is who.

Both work on the warehouse, or with `--records` on a file alone.
"""

import sys
import time
from pathlib import Path

import click
import polars as pl
from rich.console import Console
from rich.table import Table

from personalization_assets.commands.shared import moment
from personalization_assets.errors import UserError

FILE = click.Path(path_type=Path)
TRAINED = ["identity/records", "identity/decisions", "identity/blocklist", "identity/model"]
LINKED = [*TRAINED, "identity/matches", "identity/links"]


@click.command()
@click.option("--records", type=FILE, help="Parquet or CSV file to learn from [the warehouse]")
@click.option("--out", type=FILE, help="JSON file to write the model to (with --records)")
@click.option("--options", type=FILE, help="YAML file: names of columns, more columns, settings")
@click.option("--warehouse", type=FILE, help="DuckDB file [data/warehouse.duckdb]")
@click.pass_obj
def train(
    settings_file: Path | None,
    records: Path | None,
    out: Path | None,
    options: Path | None,
    warehouse: Path | None,
) -> None:
    """Learn, without labels, how alike two records of one person are.

    On the warehouse this makes a new current model, whatever the old one; runs go on training by
    themselves only when the shop has outgrown its model or the settings have changed.
    """
    console = Console(stderr=True)
    if records is None:
        from personalization_assets.commands.run import run_all
        from personalization_assets.settings import load_settings

        settings = load_settings(settings_file, warehouse=warehouse)
        now = settings.identity.model_copy(update={"train_now": True})
        settings = settings.model_copy(update={"identity": now})
        sys.exit(0 if run_all(settings, console, select=TRAINED) else 1)
    if out is None:
        raise UserError("Say with --out which JSON file the model goes to.")
    from personalization_assets.identity.comparison import load_comparisons
    from personalization_assets.identity.files import load_options, read_records
    from personalization_assets.identity.standalone import train_model
    from personalization_assets.identity.workspace import workspace

    chosen = load_options(options)
    with workspace({}) as work, console.status("reading records") as status:
        read_records(work, records, chosen)
        status.update("learning how alike records of one person are")
        extras = [c.extra for c in chosen.compare]
        model = train_model(work, load_comparisons(), extras, chosen.settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(model.to_json(), encoding="utf-8")
    for note in model.notes:
        console.print(note, highlight=False)
    console.print(
        f"Model {model.version} of {model.records:,} descriptions: {out}", highlight=False
    )


@click.command()
@click.option("--records", type=FILE, help="Parquet or CSV file to link [the warehouse]")
@click.option("--out", type=FILE, help="Parquet or CSV file to write (with --records)")
@click.option("--model", "model_file", type=FILE, help="Model that `train` wrote [learn one]")
@click.option("--truth", help="Column that says who is who: prints how right the links are")
@click.option("--previous", type=FILE, help="Links of a run before: customers keep their ids")
@click.option("--options", type=FILE, help="YAML file: names of columns, more columns, settings")
@click.option("--threads", type=click.IntRange(1), help="Threads to use [all]")
@click.option("--warehouse", type=FILE, help="DuckDB file [data/warehouse.duckdb]")
@click.option(
    "--full", is_flag=True, help="On the warehouse: all records, not only what has changed"
)
@click.pass_obj
def link(
    settings_file: Path | None,
    records: Path | None,
    out: Path | None,
    model_file: Path | None,
    truth: str | None,
    previous: Path | None,
    options: Path | None,
    threads: int | None,
    warehouse: Path | None,
    full: bool,
) -> None:
    """Work out which records are one person.

    \b
    Columns of a file, any of which may be missing: source, record_id, account_key, given_name,
    family_name, full_name, email, phone, birth_date, street, postcode, city, country, device_id.
    """
    console = Console(stderr=True)
    if records is None:
        from personalization_assets.commands.run import run_all
        from personalization_assets.settings import load_settings

        settings = load_settings(settings_file, warehouse=warehouse)
        if full:
            everything = settings.identity.model_copy(update={"incremental": False})
            settings = settings.model_copy(update={"identity": everything})
        sys.exit(0 if run_all(settings, console, select=LINKED) else 1)
    if out is None:
        raise UserError("Say with --out which Parquet or CSV file the links go to.")
    from personalization_assets.identity.comparison import load_comparisons
    from personalization_assets.identity.files import load_options, read_model, read_records
    from personalization_assets.identity.standalone import (
        FIRST_RUN,
        link_table,
        read_previous,
        train_model,
        write_links,
    )
    from personalization_assets.identity.workspace import workspace

    chosen = load_options(options)
    model = read_model(model_file) if model_file else None
    started = time.monotonic()
    with workspace({}) as work, console.status("reading records") as status:
        if threads:
            work.execute(f"SET threads = {threads}")
        found = read_records(work, records, chosen, truth)
        if previous:
            read_previous(work, previous)
        if model is None:
            status.update("learning how alike records of one person are")
            extras = [c.extra for c in chosen.compare]
            model = train_model(work, load_comparisons(), extras, chosen.settings)
        as_of = moment() if previous else FIRST_RUN
        report = link_table(work, model, chosen.settings, as_of, status.update)
        status.update("writing links")
        write_links(work, out)
    console.print(f"Columns in use: {', '.join(found)}", highlight=False)
    for note in model.notes:
        console.print(note, highlight=False)
    console.print(
        f"{report.records:,} records of {report.customers:,} customers in {report.households:,} "
        f"households (the largest customer has {report.largest:,}); {report.pairs:,} pairs "
        f"compared under model {model.version}, {time.monotonic() - started:.1f} s: {out}",
        highlight=False,
        soft_wrap=True,
    )
    if report.scores:
        _print_scores(report.scores, Console())
    if report.calibration is not None:
        _print_calibration(report.calibration, Console())


def _print_scores(scores: dict[str, float], console: Console) -> None:
    grid = Table(title="Against the truth", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "precision", "recall", "F1"):
        grid.add_column(column, justify="right" if column else "left")
    for kind, words in (("pair", "pairs, after closure"), ("b_cubed", "B-cubed")):
        figures = (f"{scores[f'{kind}_{m}']:.4f}" for m in ("precision", "recall", "f1"))
        grid.add_row(words, *figures)
    console.print(grid)
    console.print(
        f"{int(scores['customers']):,} customers for {int(scores['people']):,} people, "
        f"{int(scores['records']):,} records with a known person",
        highlight=False,
    )


def _print_calibration(table: pl.DataFrame, console: Console) -> None:
    grid = Table(
        title="\nCalibration: how often scored pairs are one person",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in ("probability", "pairs", "mean probability", "one person"):
        grid.add_column(column, justify="right")
    ends = [*table["least"].to_list()[1:], 1.0]
    for row, end in zip(table.iter_rows(named=True), ends, strict=True):
        grid.add_row(
            f"{row['least']:g} to {end:g}",
            f"{row['pairs']:,}",
            f"{row['probability']:.3f}",
            f"{row['one_person']:.3f}",
        )
    console.print(grid)


COMMANDS = [train, link]
