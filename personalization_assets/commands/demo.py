"""`personalize demo`, `sample` and `gallery`: the sample shop, from nothing to e-mails."""

import datetime as dt
import json
from pathlib import Path

from rich.console import Console

from personalization_assets.commands.account import print_account
from personalization_assets.commands.run import run_all
from personalization_assets.commands.shared import warehouse_if_any
from personalization_assets.settings import Settings

SEED = 20
END = dt.datetime(2026, 11, 1)
"""The sample shop's last day. It is fixed so that everybody who runs the demo sees the same."""


def run_demo(settings: Settings, people: int, console: Console) -> bool:
    """Build the sample shop unless it is there, refresh all tables, print the account."""
    landing = settings.data_dir / "landing"
    made = _existing(landing)
    if made != (people, SEED, END):
        console.rule("Sample shop")
        build_sample(landing, people, SEED, END, console)
        # Another shop than the one before: that customers change is no surprise.
        accepted = settings.identity.model_copy(update={"gate_accept": END.date()})
        settings = settings.model_copy(update={"identity": accepted})
    else:
        console.print(f"The sample shop of {people:,} people is there: {landing}")
    console.rule("Run")
    ok = run_all(settings, console, as_of=END)
    console.rule("Account")
    print_account(settings, console)
    if ok:
        build_gallery(settings, None, console)
        console.print("Look around in the Dagster UI: [bold]make dev[/bold]")
    return ok


def build_sample(
    out: Path, people: int, seed: int, end: dt.datetime | None, console: Console
) -> None:
    """Write the sample shop's extracts."""
    from personalization_assets.sample import generate

    generate(out, people=people, seed=seed, end=end or END, progress=console.print)


def _existing(landing: Path) -> tuple[int, int, dt.datetime] | None:
    marker = landing / "sample.json"
    if not marker.exists():
        return None
    about = json.loads(marker.read_text(encoding="utf-8"))
    return about["people"], about["seed"], dt.datetime.fromisoformat(about["end"])


def build_gallery(settings: Settings, out: Path | None, console: Console) -> None:
    """Write the page that shows e-mails, from a warehouse that is only read.

    Raises:
        UserError: there is no warehouse with mails yet, or a run is writing it.
    """
    from personalization_assets.emails.gallery import write_gallery

    target = out or settings.exports_dir / "gallery"
    with warehouse_if_any(settings, "emails.batches", needed=True) as (con, why_not):
        assert con is not None, why_not
        page = write_gallery(con, target).page
    console.print(f"E-mails to look at: [bold]{page}[/bold]")
