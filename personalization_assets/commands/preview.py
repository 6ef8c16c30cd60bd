"""`personalize campaign preview`: a campaign's mails on a page, before anybody gets one."""

import datetime as dt
import os
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from personalization_assets.commands.profile_columns import declared_columns
from personalization_assets.commands.shared import load, moment, warehouse_if_any
from personalization_assets.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from personalization_assets.emails.preview.coverage import Coverage
    from personalization_assets.emails.preview.mails import Mail, Studio

SAMPLE = 2_000
"""Mails of real customers that are put through the templates to see which branches they reach."""
SHOWN = 3
"""Real customers on a page, beside those who reach branches that no scenario reaches."""
LISTED = 20
"""Branches that nobody reaches that are listed in the terminal."""


@click.command()
@click.argument("name")
@click.option("--customer", "customers", multiple=True, help="A customer id; may be repeated")
@click.option("--scenario", "scenarios", multiple=True, help="A scenario's name; may be repeated")
@click.option("--variant", help="Only this arm of the campaign's test")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write [data/exports/preview/<name>.html]",
)
@click.option("--no-customers", is_flag=True, help="Leave real customers out, to pass the page on")
@click.option("--no-open", is_flag=True, help="Only write the page")
@click.option(
    "--warehouse",
    type=click.Path(path_type=Path),
    help="DuckDB file with real customers [data/warehouse.duckdb]",
)
@click.pass_obj
def preview(
    settings_file: Path | None,
    name: str,
    customers: tuple[str, ...],
    scenarios: tuple[str, ...],
    variant: str | None,
    out: Path | None,
    no_customers: bool,
    no_open: bool,
    warehouse: Path | None,
) -> None:
    """Show a campaign's mails on a page: phone and desktop, light and dark.

    Without --customer and --scenario the page shows all scenarios, and which branches of the
    templates they and real customers reach.
    """
    settings = load(settings_file, warehouse)
    path = out or settings.exports_dir / "preview" / f"{name}.html"
    asked = Asked(customers, scenarios, variant, no_customers, warehouse is not None)
    write_preview(settings, name, path, Console(), asked)
    if not no_open and _has_display():
        webbrowser.open(path.resolve().as_uri())


@dataclass(frozen=True)
class Asked:
    """What is to be on a page; without customers and scenarios, all there is."""

    customers: Sequence[str] = ()
    scenarios: Sequence[str] = ()
    variant: str | None = None
    without_customers: bool = False
    warehouse: bool = False
    """Whether it was named: then it must be there."""

    @property
    def whole(self) -> bool:
        """Whether nothing was chosen."""
        return not self.customers and not self.scenarios


def write_preview(
    settings: Settings, name: str, path: Path, console: Console, asked: Asked
) -> None:
    """Write a campaign's page and say what is in it.

    Raises:
        UserError: there is no such campaign, variant, scenario or mail, or a template is wrong.
    """
    from personalization_assets.emails.preview.coverage import coverage
    from personalization_assets.emails.preview.page import write_page

    report: Coverage | None
    needed = asked.warehouse or bool(asked.customers)
    with warehouse_if_any(settings, "emails.audience", needed) as (con, why_not):
        if con is not None:
            studio, mails, report = _look_up(con, settings, name, asked)
        else:
            if settings.warehouse_file.exists():
                console.print(f"{why_not} Only scenarios are shown.", markup=False, soft_wrap=True)
            columns = declared_columns(settings)
            studio = _studio(settings, name, columns, _midnight(), asked.variant)
            mails = _of_scenarios(studio, asked.scenarios)
            report = coverage(studio.traced, studio.found) if asked.whole else None
    write_page(path, studio.campaign, mails, report, settings.emails.clip_bytes)
    _say(console, path, mails, report)


def _studio(
    settings: Settings,
    name: str,
    columns: "dict[str, pa.DataType]",
    as_of: dt.datetime,
    variant: str | None,
) -> "Studio":
    from personalization_assets.emails.brand import load_brand
    from personalization_assets.emails.campaigns import load_campaigns
    from personalization_assets.emails.mail_context import mail_contract
    from personalization_assets.emails.preview.mails import Studio

    campaign = load_campaigns(settings.campaigns_dir, [name])[0]
    brand = load_brand(settings.data_dir / "brand.yaml")
    return Studio(campaign, brand, mail_contract(columns), settings.emails, as_of, variant)


def _look_up(
    con: "duckdb.DuckDBPyConnection",
    settings: Settings,
    name: str,
    asked: Asked,
) -> "tuple[Studio, list[Mail], Coverage | None]":
    """The mails and branches of a campaign, with what the last run decided."""
    from personalization_assets.emails.links import load_signer
    from personalization_assets.emails.mail_context import profile_columns
    from personalization_assets.emails.preview.coverage import coverage

    found = con.execute("SELECT max(as_of) FROM emails.audience").fetchall()
    as_of = found[0][0] or _midnight()
    con.execute("SET VARIABLE as_of = ?", [as_of])
    studio = _studio(settings, name, profile_columns(con), as_of, asked.variant)
    mails: list[Mail] = []
    if asked.scenarios or not asked.customers:
        mails += _of_scenarios(studio, asked.scenarios)
    customers, report = list(asked.customers), None
    if asked.whole:
        real = studio.real_mails(con, SAMPLE)
        report = coverage(studio.traced, studio.found, real)
        customers = [] if asked.without_customers else real.worth_a_look(studio.found, SHOWN)
    if customers:
        signer = load_signer(settings.data_dir / ".secret" / "link_key")
        mails += studio.customer_mails(con, customers, signer)
    return studio, mails, report


def _of_scenarios(studio: "Studio", names: Sequence[str]) -> "list[Mail]":
    known = studio.found.scenarios
    return studio.mails([studio.scenario(name) for name in names] if names else known)


def _midnight() -> dt.datetime:
    """The time of a page without a run: the same all day, so that its mails are."""
    return moment().replace(hour=0, minute=0, second=0)


def _say(console: Console, path: Path, mails: "Sequence[Mail]", report: "Coverage | None") -> None:
    """What is on the page, and which branches nobody reaches."""
    from personalization_assets.emails.preview.page import summary

    failed = [mail for mail in mails if mail.row["status"] != "rendered"]
    real = sum(mail.origin == "customer" for mail in mails)
    console.print(f"{len(mails):,} mails, {len(failed):,} of them not sent.", highlight=False)
    for mail in failed:
        what = f"{mail.key} ({mail.row['variant']})"
        console.print(f"  {what}: {mail.row['status']}, {mail.row['reason']}", markup=False)
    if report is not None:
        console.print(summary(report), highlight=False)
        for row in report.unreached[:LISTED]:
            where = f"{row.branch.file}:{row.branch.line}"
            console.print(f"  {where}  {row.branch.words}", markup=False, soft_wrap=True)
        if len(report.unreached) > LISTED:
            console.print(f"  and {len(report.unreached) - LISTED} more on the page")
    if real:
        console.print(f"It shows {real} mails of real customers: treat it like their data.")
    console.print(f"Mails to look at: {path}", markup=False, soft_wrap=True)


def _has_display() -> bool:
    """Whether a browser can open: on Linux only where there is a screen."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return not sys.platform.startswith("linux") or bool(screen)


COMMANDS = [preview]
