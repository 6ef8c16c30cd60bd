"""The decisions about mails worked out a second time, in Python, person by person.

Shares no code with `audience.py`; time zones come from `zoneinfo` and not from DuckDB's ICU.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from personalization_assets.emails.settings import EmailsSettings
from personalization_tests.emails.worlds import Person, Sent, World


def zone_of(person: Person, settings: EmailsSettings) -> ZoneInfo:
    known = person.zone is not None and person.zone != "Mars/Base"
    return ZoneInfo(person.zone if known else settings.default_time_zone)


def local(at: datetime, zone: ZoneInfo) -> datetime:
    return at.replace(tzinfo=UTC).astimezone(zone)


def hour_of(person: Person, settings: EmailsSettings) -> int:
    wanted = settings.default_hour if person.best_hour is None else person.best_hour
    return min(max(wanted, settings.earliest_hour), settings.latest_hour)


def next_moment(person: Person, settings: EmailsSettings, as_of: datetime) -> datetime:
    """When the person's hour comes next, by the wall clock of the zone."""
    zone, hour = zone_of(person, settings), hour_of(person, settings)
    today = local(as_of, zone).date()
    for days in range(4):
        wall = datetime.combine(today + timedelta(days), datetime.min.time()).replace(hour=hour)
        found = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
        if found.astimezone(zone).replace(tzinfo=None) != wall:  # the clock leaves this hour out
            found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        moment = found.replace(tzinfo=None)
        if moment >= as_of and local(moment, zone).hour <= settings.latest_hour:
            return moment
    raise AssertionError("no such hour in four days")


def day_of(at: datetime, person: Person, settings: EmailsSettings) -> date:
    return local(at, zone_of(person, settings)).date()


def expected(world: World) -> dict[tuple[str, str], tuple[str, int | None]]:
    """(campaign, customer) -> (rule, mails before) by the docstring of audience.py."""
    settings, as_of = world.settings, world.as_of
    by_name = {c.name: c for c in world.campaigns}
    alive = [
        s
        for s in world.sent
        if s.status not in ("refused", "expired")
        and (s.at <= as_of if s.decided_at is None else s.decided_at < as_of)
    ]

    def of_today(s: Sent) -> bool:
        return s.decided_at is not None and s.decided_at.date() == as_of.date()

    def counts(s: Sent) -> bool:
        if s.campaign in by_name:
            return by_name[s.campaign].capped
        return s.decided_at is not None or s.campaign not in settings.uncapped_mails

    def concern(p: Person) -> list[Sent]:
        return [s for s in alive if p.email in (s.email,) or s.customer_id == p.customer_id]

    rules: dict[tuple[str, str], str | None] = {}
    already: set[tuple[str, str]] = set()
    candidates = [(c, p) for c in world.campaigns for p in world.people]
    for c, p in candidates:
        key = (c.name, p.customer_id)
        if any(of_today(s) and (s.campaign, s.customer_id) == key for s in alive):
            already.add(key)
        again = [
            s.at
            for s in concern(p)
            if s.campaign == c.name and not (of_today(s) and s.customer_id == p.customer_id)
        ]
        day = day_of(next_moment(p, settings, as_of), p, settings)
        promotional = c.file.kind == "promotional"
        reason, stops, lists = world.suppressed.get(p.email or "", ("", "", []))
        rule = None
        if promotional and not p.may_market:
            rule = "email_marketing"
        elif c.file.needs_personalisation and not p.personal:
            rule = "personalisation"
        elif p.email is None:
            rule = "address_missing"
        elif stops == "everything" or (stops == "promotional" and promotional):
            rule = reason
        elif promotional and c.file.mailing_list in lists:
            rule = "unsubscribe_list"
        elif promotional and p.email.startswith("info@"):
            rule = "role_account"
        elif c.file.again_after_days and any(
            day_of(at, p, settings) > day - timedelta(c.file.again_after_days) for at in again
        ):
            rule = "again_after_days"
        rules[key] = rule
    standing = {k for k in already if rules[k] is None}
    for c in world.campaigns:  # one person per address
        at_address: dict[str, list[Person]] = {}
        for p in world.people:
            if rules[c.name, p.customer_id] is None and p.email:
                at_address.setdefault(p.email, []).append(p)
        for people in at_address.values():
            people.sort(key=lambda p: ((c.name, p.customer_id) not in already, p.customer_id))
            for p in people[1:]:
                rules[c.name, p.customer_id] = "same_address"
    taken: dict[str, int] = {}
    result = {}
    before: dict[str, int] = {}
    for p in world.people:
        level = p.level or "new"
        days = settings.window_days_dormant if level == "dormant" else settings.window_days
        day = day_of(next_moment(p, settings, as_of), p, settings)
        before[p.customer_id] = sum(
            counts(s)
            and day_of(s.at, p, settings) > day - timedelta(days)
            and not (of_today(s) and (s.campaign, s.customer_id) in standing)
            for s in concern(p)
        )
    order = sorted(
        candidates,
        key=lambda cp: (
            (cp[0].name, cp[1].customer_id) not in already,
            -cp[0].file.priority,
            cp[0].name,
            cp[1].customer_id,
        ),
    )
    for c, p in order:
        key = (c.name, p.customer_id)
        rule = rules[key]
        if rule is None and c.capped:
            assert p.email is not None
            taken[p.email] = taken.get(p.email, 0) + 1
            cap = getattr(settings, f"cap_{p.level or 'new'}")
            if before[p.customer_id] + taken[p.email] > cap:
                rule = "cap"
        result[key] = (rule or "all_rules_passed", before[p.customer_id] if c.capped else None)
    return result
