"""Somebody reports on the mails that went out, or the run says that nobody does."""

import datetime as dt
from pathlib import Path

from personalization_assets.feedback.checks import mails_are_reported_on
from personalization_assets.settings import Settings
from personalization_assets.warehouse import Warehouse
from personalization_tests.feedback.mails import SENT, connect, event, mail, outcomes


def verdict(folder: Path, days: list[float], reported: list[int]) -> tuple[bool, str]:
    """Of runs so many days after the first, of which some are reported on."""
    con = connect()
    for number, day in enumerate(days):
        send = mail(con, number, ["p1"], sent=SENT + dt.timedelta(days=day))
        if number in reported:
            event(con, "delivered", 24 * day, send)
    rows = outcomes(con)
    assert rows.height == len(days)
    con.execute(f"ATTACH '{folder / 'w.duckdb'}' AS kept")
    con.execute("CREATE SCHEMA kept.feedback")
    con.execute(
        "CREATE TABLE kept.feedback.recommendation_outcomes AS"
        " FROM feedback.recommendation_outcomes"
    )
    con.close()
    result = mails_are_reported_on(
        warehouse=Warehouse(database=str(folder / "w.duckdb")), settings=Settings()
    )
    return result.passed, result.description


def test_a_run_that_is_over_and_that_nobody_reports_on_is_named(tmp_path: Path) -> None:
    passed, words = verdict(tmp_path, [0, 4, 8], reported=[1])
    assert not passed
    assert words.startswith("Of 1 of 2 runs no event names a mail")


def test_reported_runs_and_runs_that_are_not_over_are_right(tmp_path: Path) -> None:
    assert verdict(tmp_path, [0, 2], reported=[0])[0]


def test_the_first_run_of_all_has_nothing_to_warn_of(tmp_path: Path) -> None:
    assert verdict(tmp_path, [0], reported=[])[0]
