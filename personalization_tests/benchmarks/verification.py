"""What it costs to find odd values in whole columns, and to know the verdict on every address.

Baseline of the first: the libraries that one would call row by row. `phonenumbers` is asked whether
a number is valid, sets whether a domain or a name before the @ is listed, `re` whether a name is
one; each on a part of the values. The second has none: it says what a night without a single
question to a service costs, of which one third of the people agreed to mail.
"""

import argparse
import datetime as dt
import re
from collections.abc import Callable

import numpy as np
import polars as pl

from personalization_tests.benchmarks.measure import COST, measured, show, times

AS_OF = dt.datetime(2026, 11, 1)
PART = 10
"""The row-by-row loop takes one in so many values."""


def _values(rows: int) -> dict[str, pl.Series]:
    draw = np.random.default_rng(20)
    letters = pl.Series([a + b + c for a in "abdefgklm" for b in "aeiou" for c in "lmnrst"])
    word = letters.gather(draw.integers(0, len(letters), rows))
    other = letters.gather(draw.integers(0, len(letters), rows))
    n = pl.Series(draw.integers(0, rows, rows)).cast(pl.String)
    domain = pl.Series(draw.integers(0, 5_000, rows)).cast(pl.String)
    digits = pl.Series(draw.integers(10**7, 10**8, rows)).cast(pl.String)
    prefixes = pl.Series(["+4917", "+4430", "+3361", "+1202"])
    countries = pl.Series(["DE", "GB", "FR", "US"])
    which = draw.integers(0, 4, rows)
    return {
        "emails": word + "." + other + n + "@mail" + domain + ".example",
        "names": word.str.to_titlecase() + " " + other.str.to_titlecase(),
        "phones": prefixes.gather(which) + digits,
        "countries": countries.gather(which),
        "postcodes": pl.Series(draw.integers(10_000, 99_999, rows)).cast(pl.String),
    }


def columns(kind: str, rows: int) -> Callable[[], int]:
    """Work that judges one kind of values as whole columns; gives how many are odd."""
    from personalization_assets.mailboxes import packaged_mailboxes
    from personalization_assets.standardized.normalise import plausible

    found, lists = _values(rows), packaged_mailboxes()
    judges: dict[str, Callable[[], pl.Series]] = {
        "name is one": lambda: plausible.no_name(found["names"]),
        "phone is valid": lambda: plausible.outside_numbering_plan(found["phones"]),
        "address is of a task": lambda: plausible.of_a_task(found["emails"], lists.roles),
        "address is thrown away": lambda: plausible.throw_away(found["emails"], lists.disposable),
        "postcode fits country": lambda: plausible.odd_postcode(
            found["postcodes"], found["countries"]
        ),
    }
    return lambda: int(judges[kind]().sum())


KINDS = [
    "name is one",
    "phone is valid",
    "address is of a task",
    "address is thrown away",
    "postcode fits country",
]


def row_by_row(kind: str, rows: int) -> Callable[[], int]:
    """Work that judges the same values in a loop; gives how many are odd."""
    import phonenumbers

    from personalization_assets.mailboxes import packaged_mailboxes
    from personalization_assets.standardized.normalise import plausible

    found, lists = _values(rows), packaged_mailboxes()
    words = re.compile(rf"[0-9@]|\b(?:{'|'.join(plausible.NOT_NAMES)})\b", re.IGNORECASE)
    known, shapes = plausible._shapes()
    fits = re.compile(shapes)

    def thrown_away(email: str) -> bool:
        labels = email.split("@")[1].split(".")
        return any(".".join(labels[i:]) in lists.disposable for i in range(len(labels) - 1))

    judges: dict[str, Callable[[], int]] = {
        "name is one": lambda: sum(words.search(v) is not None for v in found["names"].to_list()),
        "phone is valid": lambda: sum(
            not phonenumbers.is_valid_number(phonenumbers.parse(v))
            for v in found["phones"].to_list()
        ),
        "address is of a task": lambda: sum(
            v.split("@")[0].split("+")[0] in lists.roles for v in found["emails"].to_list()
        ),
        "address is thrown away": lambda: sum(map(thrown_away, found["emails"].to_list())),
        "postcode fits country": lambda: sum(
            c in known and not fits.match(c + v)
            for c, v in zip(found["countries"].to_list(), found["postcodes"].to_list(), strict=True)
        ),
    }
    return judges[kind]


def verdicts(addresses: int, events: int) -> Callable[[], int]:
    """Work that gives the verdict on every address; gives how many wait to be asked about."""
    import duckdb

    from personalization_assets.mailboxes import packaged_mailboxes
    from personalization_assets.standardized.verification.addresses import judge_addresses
    from personalization_assets.standardized.verification.journal import Journal
    from personalization_assets.standardized.verification.settings import VerificationSettings

    settings, lists = VerificationSettings(), packaged_mailboxes()
    con = duckdb.connect(config={"threads": 2})

    def who(count: int) -> str:
        return f"'p' || (i % {count}) || '@d' || (i % {count} % 5000) || '.example'"

    for sql in (
        "CREATE SCHEMA standardized",
        f"CREATE TABLE standardized.crm_contacts AS SELECT {who(addresses)} AS email,"
        f" i % 3 = 0 AS email_opt_in FROM range({addresses}) AS r(i)",
        *(
            f"CREATE TABLE standardized.{table} (email VARCHAR)"
            for table in ("loyalty_members", "orders", "social_activity")
        ),
        "CREATE TABLE standardized.preferences (email VARCHAR, email_marketing BOOLEAN)",
        # Three of five people have had mail.
        f"CREATE TABLE standardized.email_events AS SELECT {who(addresses * 3 // 5)} AS email,"
        " CASE WHEN i % 50 = 0 THEN 'bounce' ELSE 'delivered' END AS event_type,"
        " CASE WHEN i % 100 = 0 THEN 'hard' END AS bounce_type,"
        " TIMESTAMP '2026-10-01' - to_days((i % 600)::INT) AS occurred_at"
        f" FROM range({events}) AS r(i)",
    ):
        con.execute(sql).fetchall()
    Journal(con, AS_OF, settings)

    def work() -> int:
        found = judge_addresses(con, AS_OF, settings.delivered_days, lists)
        return found.height - found["ask_priority"].null_count()

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    asked = parser.parse_args()
    rows = []
    for kind in KINDS:
        odd, cost = measured(columns, kind, asked.rows)
        _, loop = measured(row_by_row, kind, asked.rows // PART)
        speed, baseline = asked.rows / cost.cpu, asked.rows / PART / max(loop.cpu, 0.01)
        cells = [f"{speed:,.0f}", f"{baseline:,.0f}", times(speed, baseline)]
        rows.append([f"{kind}: {odd:,} are odd", *cost.cells(), *cells])
    heads = ["what", *COST, "rows/CPU s", "row by row", "to row by row"]
    show(f"{asked.rows:,} values, first use included", heads, rows)
    waiting, cost = measured(verdicts, asked.rows, asked.events)
    rows = [[f"verdicts, {waiting:,} to be asked about", *cost.cells()]]
    show(f"{asked.rows:,} addresses, {asked.events:,} events", ["what", *COST], rows)


if __name__ == "__main__":
    main()
