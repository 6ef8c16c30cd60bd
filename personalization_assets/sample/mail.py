"""E-mails the shop has sent, and what came back: as the sender's event webhook tells it."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from personalization_assets.sample.behaviour import Habit, taste_of
from personalization_assets.sample.catalogue import Catalogue
from personalization_assets.sample.draw import Array, Draw
from personalization_assets.sample.people import DAY

MAIL_DAYS = 150
_AGENTS = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
]
_TOPICS = ["weekly_picks", "season_opening", "weekly_picks", "new_arrivals", "win_back"]


@dataclass(frozen=True)
class Mail:
    """Sends of newsletters, and the clicks that brought somebody to the shop."""

    person: Array
    at: Array
    campaign: Array
    clicks: tuple[Array, Array, Array]  # person, time, product
    events: pl.DataFrame  # send, person, at, event, machine, item, agent, reason, kind
    left: Array  # people who said no by unsubscribing or complaining


def newsletters(
    people: pl.DataFrame, habit: Habit, catalogue: Catalogue, seed: int, end: int
) -> Mail:
    """Send a newsletter a fortnight to who wants it, until they leave or their mailbox dies."""
    draw = Draw(seed, "mail")
    n = people.height
    joined = people["joined"].to_numpy()
    willing = np.flatnonzero(
        (habit.wants_mail == 1) & ~people["shares_email"].to_numpy() & draw.chance(n, 0.92)
    )
    issues = (
        np.arange(end - (MAIL_DAYS - 3) * DAY, end - DAY // 2, 14 * DAY) // DAY * DAY + 8 * 3_600
    )
    person = np.tile(willing, len(issues))
    issue = np.repeat(np.arange(len(issues)), len(willing))
    at = issues[issue] + draw.rng.integers(0, 2_400, len(person))
    dead = np.where(
        draw.chance(n, 0.02), end - (draw.between(0, 200, n) * DAY).astype(np.int64), end
    )
    bounced = at >= dead[person]
    goes = draw.chance(len(person), 0.0035)
    complains = draw.chance(len(person), 0.0007)
    leaves = goes | complains
    last = np.full(n, end)
    np.minimum.at(last, person[leaves | bounced], at[leaves | bounced])
    keep = (at >= joined[person]) & (at <= last[person])
    person, at, issue = person[keep], at[keep], issue[keep]
    goes, complains, bounced = goes[keep] & ~complains[keep], complains[keep], bounced[keep]
    count = len(person)
    topic = np.array(
        [
            f"{_TOPICS[i % len(_TOPICS)]}_{np.datetime64(int(t), 's').astype('datetime64[D]')}"
            for i, t in enumerate(issues)
        ],
        dtype=object,
    )
    send = np.arange(count)
    soft = ~bounced & draw.chance(count, 0.006)
    arrived = ~bounced & ~soft
    machine = arrived & habit.apple[person] & draw.chance(count, 0.93)
    opened = arrived & (draw.chance(count, habit.interest[person]) | goes | complains)
    delay = (draw.rng.lognormal(8.6, 1.5, count)).astype(np.int64) + 30
    read = at + np.where(
        draw.chance(count, 0.5), delay, (habit.hour[person] - 8) % 24 * 3_600 + delay // 9
    )
    read = np.where(read > end - 2_100, at + 60 + delay % 900, read)
    clicked = opened & draw.chance(count, 0.05 + 0.22 * habit.interest[person])
    taste = taste_of(habit, person, draw, catalogue.tastes)
    item = catalogue.look(taste, habit.band[person], at, draw)
    agent = draw.rng.integers(0, len(_AGENTS), n)[person]
    click_at = read + draw.rng.integers(4, 70, count)
    parts = [
        _events(send, person, at - 2, "processed", at > end - 15 * DAY),
        _events(send, person, at + draw.rng.integers(1, 9, count), "delivered", arrived),
        _events(send, person, at + 3, "deferred", arrived & draw.chance(count, 0.004)),
        _events(
            send,
            person,
            at + draw.rng.integers(9, 40, count),
            "open",
            machine,
            machine=True,
            agent=-1,
        ),
        _events(send, person, read, "open", opened, agent=agent),
        _events(
            send,
            person,
            read + 5_000 + delay % 7_000,
            "open",
            opened & draw.chance(count, 0.12),
            agent=agent,
        ),
        _events(send, person, click_at, "click", clicked, item=item, agent=agent),
        _events(
            send,
            person,
            at + 4,
            "bounce",
            bounced,
            kind="bounce",
            reason="550 5.1.1 The e-mail account does not exist",
        ),
        _events(
            send, person, at + 40, "bounce", soft, kind="blocked", reason="452 4.2.2 Mailbox full"
        ),
        _events(send, person, read + 90, "unsubscribe", goes),
        _events(send, person, read + 120, "spamreport", complains),
    ]
    events = pl.concat(parts).filter(pl.col("at") < end)
    live = clicked & (click_at + 30 < end - 1_900)
    left = np.zeros(n, dtype=bool)
    left[person[goes | complains]] = True
    return Mail(
        person, at, topic[issue], (person[live], click_at[live] + 2, item[live]), events, left
    )


def with_confirmations(mail: Mail, person: Array, at: Array, seed: int, end: int) -> Mail:
    """Add the confirmation of each order of the last months: everybody opens those."""
    draw = Draw(seed, "confirmations")
    recent = (at > end - MAIL_DAYS * DAY) & draw.chance(len(at), 0.97)
    person, at = person[recent], at[recent] + 20
    count, base = len(person), len(mail.person)
    send = base + np.arange(count)
    delay = (draw.rng.lognormal(6.5, 1.4, count)).astype(np.int64) + 12
    agent = draw.rng.integers(0, len(_AGENTS), count)
    parts = [
        mail.events,
        _events(send, person, at + 2, "delivered", np.ones(count, dtype=bool)),
        _events(send, person, at + delay, "open", draw.chance(count, 0.7), agent=agent),
    ]
    return Mail(
        np.concatenate([mail.person, person]),
        np.concatenate([mail.at, at]),
        np.concatenate([mail.campaign, np.full(count, "order_confirmation", dtype=object)]),
        mail.clicks,
        pl.concat(parts).filter(pl.col("at") < end),
        mail.left,
    )


def webhook_lines(
    mail: Mail, people: pl.DataFrame, catalogue: Catalogue, seed: int
) -> pl.DataFrame:
    """One row per event in order of time, columns named as the webhook names them."""
    draw = Draw(seed, "webhook")
    events = mail.events.sort("at", "send", "event")
    n = events.height
    rank = events["event"].replace_strict(
        {
            "processed": 0,
            "delivered": 1,
            "deferred": 2,
            "open": 3,
            "click": 4,
            "bounce": 5,
            "unsubscribe": 6,
            "spamreport": 7,
        }
    )
    names = pl.Series("names", _AGENTS)
    url = (
        catalogue.frame["url"].gather(events["item"].clip(0))
        + "?utm_source=newsletter&utm_medium=email"
    )
    agents = names.gather(events["agent"].clip(0))
    stamp = draw.rng.integers(16**7, 16**8, n)
    ids = (
        pl.DataFrame({"a": stamp, "b": np.arange(n), "r": rank})
        .select(pl.format("sg{}e{}x{}", "a", "b", "r"))
        .to_series()
    )
    send_mark = draw.rng.integers(16**7, 16**8, len(mail.person))
    message = (
        pl.DataFrame({"m": send_mark, "s": np.arange(len(send_mark))})
        .select(pl.format("m{}-{}.recvd-69c7b8d5-1", "m", "s"))
        .to_series()
    )
    opens = pl.col("event") == "open"
    return (
        pl.DataFrame(
            {
                "email": people["email"].gather(events["person"]),
                "timestamp": events["at"],
                "event": events["event"],
                "sg_event_id": ids,
                "sg_message_id": message.gather(events["send"]),
                "category": pl.Series(list(mail.campaign), dtype=pl.String).gather(events["send"]),
                "machine": events["machine"],
                "url": url,
                "useragent": agents,
                "agent": events["agent"],
                "item": events["item"],
                "type": events["kind"],
                "reason": events["reason"],
                "person": events["person"],
            }
        )
        .with_columns(
            sg_machine_open=pl.when(opens).then(pl.col("machine")),
            url=pl.when(pl.col("item") >= 0).then(pl.col("url")),
            useragent=pl.when(pl.col("agent") >= 0)
            .then(pl.col("useragent"))
            .when(pl.col("machine"))
            .then(pl.lit("Mozilla/5.0")),
        )
        .drop("machine", "agent", "item")
    )


def _events(
    send: Array,
    person: Array,
    at: Array,
    event: str,
    where: Array,
    machine: bool = False,
    item: Array | None = None,
    agent: Array | int = -2,
    kind: str | None = None,
    reason: str | None = None,
) -> pl.DataFrame:
    rows = np.flatnonzero(where)
    agents = agent[rows] if isinstance(agent, np.ndarray) else np.full(len(rows), agent)
    return pl.DataFrame(
        {
            "send": send[rows],
            "person": person[rows],
            "at": at[rows],
            "item": item[rows] if item is not None else np.full(len(rows), -1),
            "agent": agents,
        }
    ).with_columns(
        event=pl.lit(event),
        machine=pl.lit(machine),
        kind=pl.lit(kind, dtype=pl.String),
        reason=pl.lit(reason, dtype=pl.String),
    )
