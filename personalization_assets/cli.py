"""`personalize`: the platform from a shell.

Every mistake of a user ends in one sentence on standard error and exit code 1.
"""

import datetime as dt
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from personalization_assets.commands.audit import audit
from personalization_assets.commands.campaign import campaign
from personalization_assets.commands.contracts import contracts
from personalization_assets.commands.identity import identity
from personalization_assets.commands.mails import mails
from personalization_assets.commands.profile import profile
from personalization_assets.commands.quarantine import quarantine
from personalization_assets.commands.recommend import recommend
from personalization_assets.commands.schema import schema
from personalization_assets.commands.serve import serve
from personalization_assets.commands.verification import verify
from personalization_assets.errors import UserError

FILE = click.Path(path_type=Path)


class _Group(click.Group):
    """Shows a `UserError` as its sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"personalize: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"max_content_width": 100})
@click.version_option(package_name="personalization-assets")
@click.option("--settings", "settings_file", type=FILE, help="Settings file [data/settings.yaml]")
@click.pass_context
def main(ctx: click.Context, settings_file: Path | None) -> None:
    """Customer data in, personal e-mails out."""
    logging.getLogger("dagster").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"dagster\b")
    ctx.obj = settings_file


def _as_of(text: str | None) -> dt.datetime | None:
    from personalization_assets.tables import parse_as_of

    return parse_as_of(text) if text else None


@main.command()
@click.option("--people", default=5000, show_default=True, type=click.IntRange(10, 5_000_000))
@click.option("--out", type=FILE, help="Folder to write to [data/landing]")
@click.option("--seed", default=20, show_default=True)
@click.option("--end", default="2026-11-01", show_default=True, help="The shop's last day")
@click.pass_obj
def sample(settings_file: Path | None, people: int, out: Path | None, seed: int, end: str) -> None:
    """Write the extracts of a made-up shop, and the truth about who is who."""
    from personalization_assets.commands.demo import build_sample
    from personalization_assets.settings import load_settings

    settings = load_settings(settings_file)
    build_sample(
        out or settings.data_dir / "landing", people, seed, _as_of(end), Console(stderr=True)
    )


@main.command()
@click.option("--sources", type=FILE, help="The file that names your sources [data/sources.yaml]")
@click.option("--warehouse", type=FILE, help="DuckDB file to write [data/warehouse.duckdb]")
@click.option("--truth", type=FILE, help="Who is who, if you know: CSV with source, key, person")
@click.option("--as-of", help="The run's time, UTC [now]")
@click.option("--select", multiple=True, help="Only these assets, in Dagster's selection syntax")
@click.option("--quiet", is_flag=True, help="No line per table")
@click.pass_obj
def run(
    settings_file: Path | None,
    sources: Path | None,
    warehouse: Path | None,
    truth: Path | None,
    as_of: str | None,
    select: tuple[str, ...],
    quiet: bool,
) -> None:
    """Refresh all tables, from extracts to rendered e-mails, and say what came out."""
    from personalization_assets.commands.account import print_account
    from personalization_assets.commands.run import run_all
    from personalization_assets.settings import load_settings

    settings = load_settings(settings_file, sources_yaml=sources, warehouse=warehouse, truth=truth)
    console = Console()
    ok = run_all(settings, console, _as_of(as_of), select, progress=not quiet)
    print_account(settings, console)
    sys.exit(0 if ok else 1)


@main.command()
@click.option("--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]")
@click.pass_obj
def account(settings_file: Path | None, warehouse: Path | None) -> None:
    """Say what is in the warehouse: rows, rejects, people, e-mails."""
    from personalization_assets.commands.account import print_account
    from personalization_assets.settings import load_settings

    print_account(load_settings(settings_file, warehouse=warehouse), Console())


@main.command()
@click.option("--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]")
@click.option("--out", type=FILE, help="Folder to write to [data/exports/gallery]")
@click.pass_obj
def gallery(settings_file: Path | None, warehouse: Path | None, out: Path | None) -> None:
    """Write a page that shows a choice of the rendered e-mails."""
    from personalization_assets.commands.demo import build_gallery
    from personalization_assets.settings import load_settings

    build_gallery(load_settings(settings_file, warehouse=warehouse), out, Console())


@main.command()
@click.option("--people", default=5000, show_default=True, type=click.IntRange(10, 1_000_000))
@click.pass_obj
def demo(settings_file: Path | None, people: int) -> None:
    """Build the sample shop, run everything on it, and show what came out."""
    from personalization_assets.commands.demo import run_demo
    from personalization_assets.settings import load_settings

    sys.exit(0 if run_demo(load_settings(settings_file), people, Console()) else 1)


for group in (
    audit,
    contracts,
    identity,
    campaign,
    mails,
    quarantine,
    recommend,
    schema,
    serve,
    verify,
    profile,
):
    main.add_command(group)


if __name__ == "__main__":
    main()
