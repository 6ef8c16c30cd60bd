"""Why one person gets a campaign's mail or not: the run's decision, and what would change it.

Reads what the run decided (`emails.audience`). Of people whom a campaign's condition left out there
is no row; for them the condition is taken apart and each part is looked up in their profile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import sqlglot
from sqlglot import expressions as exp

from personalization_assets.emails.audience import counted_mails
from personalization_assets.emails.campaigns import DAYS, Campaign
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.errors import UserError
from personalization_assets.warehouse import exists

WHAT_CHANGES = {
    "email_marketing": "The person agrees to e-mail marketing, at the address that is mailed.",
    "personalisation": "The person agrees to personalisation, at the address that is mailed.",
    "address_missing": "A source brings an e-mail address of the person.",
    "address_malformed": "A source brings a valid address of the person.",
    "hard_bounce": "The profile gets another address: this mailbox refuses mail for good.",
    "complaint": "Nothing: a complaint stands for good.",
    "unsubscribe": "The same address agrees again in the preference centre, later than it left.",
    "unsubscribe_list": "The same address agrees again in the preference centre, later than it "
    "left, or the campaign belongs to another list.",
    "list": "The address is taken out of data/suppressions.csv.",
    "soft_bounce": "The rest ends, or a mail arrives.",
    "undeliverable": "The profile gets another address, or the verification service says otherwise "
    "when its answer has expired.",
    "risky": "Setting emails.mail_risky_addresses, or the verification service says otherwise when "
    "its answer has expired.",
    "role_account": "The mailbox itself agrees in the preference centre; or data/role_accounts.csv "
    "says that its name is no role; or setting emails.mail_role_accounts.",
    "global_holdout": "Nothing for this person: left out of all promotional mail on purpose "
    "(setting emails.global_holdout).",
    "holdout": "Nothing for this person: left out on purpose, to measure what the mail brings "
    "(holdout of the campaign).",
    "all_rules_passed": "",
}
"""What would have to be different, where the sentence needs no figures."""

NOT_DUE = "not today"
OUTSIDE = "not in audience"
CHANGED = "changed since"


@dataclass(frozen=True)
class Part:
    """One condition of an audience, and the values that it looks at."""

    condition: str
    holds: bool | None
    values: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What was decided about a campaign, or why nothing was."""

    campaign: str
    decision: str
    rule: str
    detail: str
    change: str
    send_at: datetime | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Account:
    """One person: what holds for all campaigns, and the answer for each.

    `facts` are a few words each; `counted` are the mails of the window, as campaign and time (UTC).
    """

    customer_id: str
    as_of: datetime
    facts: dict[str, str]
    answers: tuple[Answer, ...]
    counted: tuple[tuple[str, datetime], ...]


def find_people(con: duckdb.DuckDBPyConnection, who: str) -> tuple[list[str], str]:
    """Customer ids for an id or an e-mail address, and a remark if they were found in another way.

    Raises:
        UserError: nobody is found. The sentence does not repeat what was asked for.
    """
    if not exists(con, "emails.audience") or not exists(con, "profiles.golden_profiles"):
        raise UserError("There are no decisions in this warehouse yet: run `personalize run`.")
    wanted = who.strip().lower() if "@" in who else who.strip()
    column = "lower(trim(email))" if "@" in who else "customer_id"
    found = _ids(
        con, f"SELECT customer_id FROM profiles.golden_profiles WHERE {column} = ?", wanted
    )
    if found:
        return found, ""
    if "@" in who:
        if exists(con, "identity.records") and exists(con, "identity.links"):
            found = _ids(
                con,
                """SELECT l.customer_id FROM identity.records r
                   JOIN identity.links l USING (source, record_id) WHERE r.email = ?""",
                wanted,
            )
        if found:
            return found, "Mail to this person goes to another of their addresses."
        raise UserError("Nobody in profiles.golden_profiles or identity.records has this address.")
    if exists(con, "identity.redirects"):
        found = _ids(con, "SELECT customer_id FROM identity.redirects WHERE retired_id = ?", wanted)
    if found:
        return found, f"{wanted} was merged and lives on as {found[0]}."
    raise UserError(
        "There is no such customer: give a customer_id of profiles.golden_profiles (c_...) or an "
        "e-mail address."
    )


def _ids(con: duckdb.DuckDBPyConnection, sql: str, wanted: str) -> list[str]:
    rows = con.execute(f"SELECT DISTINCT customer_id FROM ({sql}) ORDER BY 1", [wanted]).fetchall()
    return [str(row[0]) for row in rows if row[0] is not None]


def explain(
    con: duckdb.DuckDBPyConnection,
    customer_id: str,
    campaigns: Sequence[Campaign],
    settings: EmailsSettings,
    now: datetime,
    only: str | None = None,
) -> Account:
    """The account of one person, from a warehouse that may be open for reading only.

    `only` names a campaign; all of them are needed all the same, since mails of one count for the
    others. `now` stands in for the run's time where no run has decided anything yet.
    """
    run = con.execute("SELECT max(as_of) FROM emails.audience").fetchall()[0][0]
    as_of = run or now
    con.execute("SET VARIABLE as_of = ?", [as_of])
    rows = _rows(
        con,
        """SELECT a.*, s.until FROM emails.audience a
           JOIN profiles.golden_profiles p USING (customer_id)
           LEFT JOIN emails.suppressions s ON s.email = lower(trim(p.email))
           WHERE customer_id = ?""",
        customer_id,
    )
    decided = {row["campaign"]: row for row in rows}
    profile = _rows(
        con, "SELECT * FROM profiles.golden_profiles WHERE customer_id = ?", customer_id
    )[0]
    counted = counted_mails(
        con, campaigns, settings, customer_id, own_deliveries=exists(con, "emails.deliveries")
    )
    answers = [
        _answer(con, c, decided.get(c.name), profile, settings, as_of, counted)
        for c in sorted(campaigns, key=lambda c: (-c.file.priority, c.name))
        if only in (None, c.name)
    ]
    return Account(customer_id, as_of, _facts(profile, settings), tuple(answers), tuple(counted))


def _rows(con: duckdb.DuckDBPyConnection, sql: str, wanted: str) -> list[dict[str, Any]]:
    cursor = con.execute(sql, [wanted])
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _facts(profile: dict[str, Any], settings: EmailsSettings) -> dict[str, str]:
    level = profile["engagement_level"] or "new"
    days = settings.window_days_dormant if level == "dormant" else settings.window_days
    hour = profile["best_hour"]
    agreed = "yes" if profile["consent_email_marketing"] else "no"
    basis = profile.get("consent_email_marketing_basis")
    said = profile.get("consent_stated_at")
    words = [w for w in (basis, f"since {said:%Y-%m-%d}" if said else None) if w]
    return {
        "e-mail marketing": f"{agreed} ({', '.join(words)})" if words else agreed,
        "personalisation": "yes" if profile["consent_personalisation"] else "no",
        "engagement": f"{level}: at most {getattr(settings, f'cap_{level}')} promotional mails "
        f"in {days} days",
        "time zone": profile["time_zone"] or f"{settings.default_time_zone} (not known)",
        "hour": f"{settings.default_hour}:00 (no best hour known)"
        if hour is None
        else f"{hour}:00",
    }


def _answer(
    con: duckdb.DuckDBPyConnection,
    campaign: Campaign,
    row: dict[str, Any] | None,
    profile: dict[str, Any],
    settings: EmailsSettings,
    as_of: datetime,
    counted: Sequence[tuple[str, datetime]],
) -> Answer:
    if row is not None:
        return Answer(
            campaign.name,
            row["decision"],
            row["rule"],
            row["detail"],
            _change(con, campaign, row, profile, settings, counted),
            row["send_at"],
        )
    if not campaign.due(as_of.weekday()):
        return Answer(
            campaign.name,
            NOT_DUE,
            "schedule",
            f"goes out on {campaign.file.schedule}, the run was on a {DAYS[as_of.weekday()]}",
            "A run on such a day looks at this person.",
        )
    parts = condition_parts(con, campaign, profile["customer_id"])
    missing = tuple(part for part in parts if not part.holds)
    if missing:
        return Answer(
            campaign.name,
            OUTSIDE,
            "audience",
            f"{len(missing)} of {len(parts)} conditions do not hold",
            "All conditions of the audience hold.",
            parts=missing,
        )
    return Answer(
        campaign.name,
        CHANGED,
        "audience",
        "the condition holds now, but the run knew nothing of it: profile or campaign are newer",
        "Run again.",
    )


def condition_parts(
    con: duckdb.DuckDBPyConnection, campaign: Campaign, customer_id: str
) -> list[Part]:
    """The conditions that a campaign's audience joins with AND, each looked up for one person.

    `holds` is None where an empty value leaves a condition undecided, which counts as not holding.
    """
    conditions = _split(campaign.file.audience)
    profile = """(SELECT *, getvariable('as_of')::TIMESTAMP AS as_of
        FROM profiles.golden_profiles WHERE customer_id = ?)"""
    known = {
        str(row[0]).lower() for row in con.execute(f"DESCRIBE {profile}", [customer_id]).fetchall()
    }
    parts = []
    for condition in conditions:
        tree = sqlglot.parse_one(condition, read="duckdb")
        names = sorted({c.name.lower() for c in tree.find_all(exp.Column)} & known)
        columns = "".join(f', "{name}"' for name in names)
        holds, *values = con.execute(
            f"SELECT ({condition}\n)::BOOLEAN{columns} FROM {profile}", [customer_id]
        ).fetchall()[0]
        parts.append(Part(_bare(condition), holds, dict(zip(names, values, strict=True))))
    return parts


def _split(audience: str) -> list[str]:
    """The conditions that AND joins at the top, in the author's own words."""
    where = sqlglot.parse_one(f"SELECT 1 WHERE ({audience}\n)", read="duckdb").args["where"]
    top = where.this.unnest()
    whole = audience.strip()
    if not isinstance(top, exp.And):
        return [whole]
    parsed = [part.unnest().sql(dialect="duckdb") for part in top.flatten()]
    pieces, start, depth, betweens = [], 0, 0, 0
    for token in sqlglot.tokenize(whole, read="duckdb"):
        word = token.text.upper()
        depth += word in ("(", "[", "{", "CASE")
        depth -= word in (")", "]", "}", "END")
        if depth == 0 and word == "BETWEEN":
            betweens += 1
        elif depth == 0 and word == "AND" and betweens:
            betweens -= 1
        elif depth == 0 and word == "AND":
            pieces.append(whole[start : token.start])
            start = token.end + 1
    pieces.append(whole[start:])
    # Where the two readings differ (brackets around all of it), the parser's is right.
    return pieces if len(pieces) == len(parsed) else parsed


def _bare(piece: str) -> str:
    """For reading only: without line breaks and comments."""
    lines = (line.split("--")[0] for line in piece.splitlines())
    return " ".join(" ".join(lines).split())


def _change(
    con: duckdb.DuckDBPyConnection,
    campaign: Campaign,
    row: dict[str, Any],
    profile: dict[str, Any],
    settings: EmailsSettings,
    counted: Sequence[tuple[str, datetime]],
) -> str:
    rule = row["rule"]
    zone = profile["time_zone"] or settings.default_time_zone
    if rule == "again_after_days":
        day = _local_day(con, row["since"], zone) + timedelta(campaign.file.again_after_days)
        return f"A mail that leaves on {day:%Y-%m-%d} or later may be it again."
    if rule == "soft_bounce" and row["until"]:
        return f"The rest ends on {row['until']:%Y-%m-%d}, or a mail arrives before."
    if rule == "same_address":
        return "One mail a campaign goes to an address, however many people share it."
    if rule == "cap":
        cap, days = row["mails_allowed"], row["window_days"]
        if cap == 0:
            return f"Setting emails.cap_{profile['engagement_level'] or 'new'} is above 0."
        leave = row["mails_before"] + row["place"] - cap
        if 0 < leave <= len(counted):
            # Oldest first; when the last of those that have to leave is outside, there is a place.
            at = sorted(at for _, at in counted)[leave - 1]
            day = _local_day(con, at, zone) + timedelta(days)
            return (
                f"A place is free on {day:%Y-%m-%d}, if nothing else takes it; a higher priority "
                f"takes it before the others."
            )
        return "A higher priority, or fewer campaigns before it: places are given by priority."
    return WHAT_CHANGES[rule]


def _local_day(con: duckdb.DuckDBPyConnection, at: datetime, zone: str) -> datetime:
    day: datetime = con.execute(
        """SELECT date_trunc('day', (?::TIMESTAMP AT TIME ZONE 'UTC') AT TIME ZONE coalesce(
               (SELECT name FROM pg_timezone_names() WHERE name = ? LIMIT 1), 'UTC'))::TIMESTAMP""",
        [at, zone],
    ).fetchall()[0][0]
    return day
