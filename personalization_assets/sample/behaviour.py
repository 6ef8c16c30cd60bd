"""What people do: visits, looks, carts and orders, out of lasting tastes."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from personalization_assets.sample.catalogue import BANDS, Catalogue
from personalization_assets.sample.draw import Array, Draw, runs
from personalization_assets.sample.people import DAY

WEB_DAYS = 365  # the web log goes back a year, the orders go back three
HISTORY_DAYS = 1_095
WEB, OFFLINE = 0, 1


@dataclass(frozen=True)
class Habit:
    """What is lasting about each person, one element per row of people."""

    rate: Array  # visits a year
    until: Array  # when they lose interest
    tastes: Array  # people x 3
    weights: Array  # people x 3, rising to one
    band: Array
    hour: Array
    account: Array  # number of the shop account, -1 for none
    account2: Array  # a second account, opened later
    account2_at: Array
    phone: Array  # device ids
    desktop: Array
    tablet: Array  # shared by a household
    apple: Array  # opens mail in a program that loads pictures at once
    interest: Array  # how likely to open a mail
    wants_mail: Array  # 1 yes, 0 no, -1 never said


@dataclass(frozen=True)
class Visits:
    """Visits in order of time; looks belong to a visit by its position."""

    person: Array
    at: Array
    kind: Array
    source: Array  # 0 direct, 1 search engine, 2 newsletter, 3 ads, 4 social
    buys: Array
    look_visit: Array
    look_item: Array
    look_at: Array
    carted: Array
    removed: Array
    bought: Array
    quantity: Array


def make_habits(people: pl.DataFrame, catalogue: Catalogue, seed: int, end: int) -> Habit:
    """Draw everybody's lasting habits."""
    draw = Draw(seed, "habits")
    n = people.height
    joined = people["joined"].to_numpy()
    lapses = draw.chance(n, 0.33)
    until = np.where(lapses, joined + (end - joined) * draw.between(0.15, 0.95, n), end).astype(
        np.int64
    )
    common = 1 / (np.arange(catalogue.tastes) + 5.0)
    household = people["household"].to_numpy()
    tastes = draw.pick(np.arange(catalogue.tastes), n * 3, common.tolist()).reshape(n, 3)
    home = draw.pick(np.arange(catalogue.tastes), int(household[-1]) + 1, common.tolist())
    tastes[:, 2] = np.where(draw.chance(n, 0.6), home[household], tastes[:, 2])
    weights = draw.rng.dirichlet([1.6, 0.9, 0.5], n).cumsum(axis=1)
    numbers = draw.numbers(n * 2, 100_200, 4)
    has_account = draw.chance(n, 0.72)
    second = has_account & draw.chance(n, 0.04)
    device = draw.numbers(n * 3, 100_000_000, 30)
    first = (joined - draw.rng.integers(0, 40 * DAY, n)).astype(str)
    ids = [
        np.char.add(np.char.add(device[i * n : (i + 1) * n].astype(str), "."), first)
        for i in range(3)
    ]
    head = np.searchsorted(household, household)
    level = draw.pick(np.array([0.62, 0.32, 0.12, 0.02]), n, [18, 30, 32, 20])
    return Habit(
        rate=draw.rng.gamma(0.85, 9.5, n),
        until=until,
        tastes=tastes.astype(np.int64),
        weights=weights,
        band=np.clip(np.round(draw.rng.normal(0.9, 0.75, n)), 0, BANDS - 1).astype(np.int64),
        hour=draw.pick(np.array([7, 9, 12, 15, 18, 20, 21, 22]), n, [8, 8, 14, 9, 16, 22, 17, 6]),
        account=np.where(has_account, numbers[:n], -1),
        account2=np.where(second, numbers[n:], -1),
        account2_at=np.where(
            second, joined + ((end - joined) * draw.between(0.3, 0.9, n)).astype(np.int64), end
        ),
        phone=ids[0],
        desktop=ids[1],
        tablet=ids[2][head],
        apple=draw.chance(n, 0.37),
        interest=level,
        wants_mail=draw.pick(np.array([1, 0, -1]), n, [68, 17, 15]),
    )


def taste_of(habit: Habit, person: Array, draw: Draw, tastes: int) -> Array:
    """The taste that drives one act; one in ten acts is somebody being curious."""
    u = draw.rng.random(len(person))
    slot = (u[:, None] > habit.weights[person]).sum(axis=1).clip(0, 2)
    own = habit.tastes[person, slot]
    odd = draw.chance(len(person), 0.1)
    chosen: Array = np.where(odd, draw.rng.integers(0, tastes, len(person)), own)
    return chosen


def make_visits(
    people: pl.DataFrame,
    habit: Habit,
    catalogue: Catalogue,
    clicks: tuple[Array, Array, Array],
    seed: int,
    end: int,
) -> Visits:
    """Simulate all visits up to `end`; `clicks` (person, time, product) come out of e-mails."""
    draw = Draw(seed, "visits")
    person, at, offline = _calls(people, habit, draw, end)
    n_own = len(person)
    person = np.concatenate([person, clicks[0]])
    at = np.concatenate([at, clicks[1]])
    forced = np.concatenate([np.full(n_own, -1), clicks[2]])
    offline = np.concatenate([offline, np.zeros(len(clicks[0]), dtype=bool)])
    order = np.lexsort((person, at))
    person, at, forced, offline = person[order], at[order], forced[order], offline[order]
    taste = taste_of(habit, person, draw, catalogue.tastes)
    looks = np.where(draw.chance(len(person), 0.14), 0, 1 + draw.rng.poisson(1.9, len(person)))
    looks = np.where(offline | (forced >= 0), np.maximum(looks, 1), looks)
    visit = np.repeat(np.arange(len(person)), looks)
    turn = runs(looks)
    look_at = at[visit] + 25 + turn * 75 + draw.rng.integers(0, 50, len(visit))
    item = catalogue.look(taste[visit], habit.band[person[visit]], look_at, draw)
    item = np.where((turn == 0) & (forced[visit] >= 0), forced[visit], item)
    item = _again(person[visit], item, draw)
    food = catalogue.consumable[item]
    carted = draw.chance(len(visit), np.where(food, 0.42, 0.2)) | offline[visit]
    removed = carted & draw.chance(len(visit), 0.06) & ~offline[visit]
    full = np.bincount(visit[carted & ~removed], minlength=len(person)) > 0
    buys = full & (draw.chance(len(person), 0.56) | offline)
    bought = carted & ~removed & buys[visit]
    extra = np.where(food, draw.rng.poisson(0.8, len(visit)), draw.rng.poisson(0.07, len(visit)))
    source = draw.pick(np.array([0, 1, 3, 4]), len(person), [40, 34, 14, 12])
    source = np.where(forced >= 0, 2, source)
    first = Visits(
        person,
        at,
        np.where(offline, OFFLINE, WEB),
        source,
        buys,
        visit,
        item,
        look_at,
        carted,
        removed,
        bought,
        1 + extra,
    )
    return _with_repeats(first, catalogue, habit, draw, end)


def _calls(people: pl.DataFrame, habit: Habit, draw: Draw, end: int) -> tuple[Array, Array, Array]:
    """When people come: between joining and losing interest, more often before Christmas."""
    begin = np.maximum(people["joined"].to_numpy(), end - HISTORY_DAYS * DAY)
    days = np.arange(HISTORY_DAYS + 1)
    first_day = dt.datetime.fromtimestamp(end - HISTORY_DAYS * DAY, dt.UTC)
    year_day = (first_day.timetuple().tm_yday + days) % 365
    busy = (
        1
        + 0.28 * np.cos((year_day - 345) / 365 * 2 * np.pi) ** 3
        + 0.9 * (np.abs(year_day - 332) < 4)
    )
    steps = np.concatenate([[0.0], np.cumsum(busy)])
    start_day = (begin - (end - HISTORY_DAYS * DAY)) / DAY
    stop_day = np.maximum((habit.until - (end - HISTORY_DAYS * DAY)) / DAY, start_day + 0.05)
    low, high = (
        np.interp(start_day, np.arange(len(steps)), steps),
        np.interp(stop_day, np.arange(len(steps)), steps),
    )
    number = draw.rng.poisson(habit.rate * (high - low) / 365)
    number = np.where(draw.chance(people.height, 0.09), 0, number)
    person = np.repeat(np.arange(people.height), number)
    spot = draw.between(low[person], high[person], len(person))
    day = np.interp(spot, steps, np.arange(len(steps)))
    at = end - HISTORY_DAYS * DAY + (day * DAY).astype(np.int64)
    clock = (habit.hour[person] * 3_600 + draw.rng.normal(0, 6_300, len(person))).astype(
        np.int64
    ) % DAY
    shifted = at // DAY * DAY + clock
    at = np.where((shifted >= begin[person]) & (shifted < habit.until[person]), shifted, at)
    at = np.minimum(at, end - 1_900)
    return person, at, draw.chance(len(person), 0.07)


def _again(person: Array, item: Array, draw: Draw) -> Array:
    """One look in four goes to something the same person looked at before."""
    order = np.argsort(person, kind="stable")
    begin = np.searchsorted(person[order], person[order])
    spot = np.arange(len(order))
    earlier = begin + (draw.rng.random(len(order)) ** 0.5 * (spot - begin)).astype(np.int64)
    back = draw.chance(len(order), 0.25) & (spot > begin)
    result = item.copy()
    result[order] = np.where(back, item[order[earlier]], item[order])
    return result


def _with_repeats(
    visits: Visits, catalogue: Catalogue, habit: Habit, draw: Draw, end: int
) -> Visits:
    """What gets used up is bought again, by those who liked it, every few weeks."""
    seeds = np.flatnonzero(visits.bought & catalogue.consumable[visits.look_item])
    who = visits.person[visits.look_visit[seeds]]
    keep = draw.chance(len(seeds), 0.3)
    firsts = pl.DataFrame({"p": who, "i": visits.look_item[seeds]}).select(
        first=pl.struct("p", "i").is_first_distinct()
    )
    keep &= firsts["first"].to_numpy()
    seeds, who = seeds[keep], who[keep]
    every = draw.rng.gamma(9, 4.2, len(seeds)) * DAY
    at = visits.look_at[seeds].astype(float)
    stop = np.minimum(habit.until[who], end - 2_000)
    parts: list[tuple[Array, Array, Array]] = []
    for _ in range(7):
        at = at + every * draw.rng.lognormal(0, 0.18, len(at))
        alive = (at < stop) & draw.chance(len(at), 0.77)
        seeds, who, every, at, stop = seeds[alive], who[alive], every[alive], at[alive], stop[alive]
        parts.append((who, at.astype(np.int64), visits.look_item[seeds]))
    who, when, item = (np.concatenate([part[i] for part in parts]) for i in range(3))
    n, base = len(who), len(visits.person)
    yes, no = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    person = np.concatenate([visits.person, who])
    at_all = np.concatenate([visits.at, when])
    order = np.lexsort((np.arange(len(person)), person, at_all))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    look_visit = place[np.concatenate([visits.look_visit, base + np.arange(n)])]
    look_at = np.concatenate([visits.look_at, when + 40])
    sort = np.lexsort((look_at, look_visit))

    def both(old: Array, new: Array, by: Array) -> Array:
        joined: Array = np.concatenate([old, new])[by]
        return joined

    return Visits(
        person[order],
        at_all[order],
        both(visits.kind, np.full(n, WEB), order),
        both(visits.source, np.zeros(n, dtype=np.int64), order),
        both(visits.buys, yes, order),
        look_visit[sort],
        both(visits.look_item, item, sort),
        look_at[sort],
        both(visits.carted, yes, sort),
        both(visits.removed, no, sort),
        both(visits.bought, yes, sort),
        both(visits.quantity, 1 + draw.rng.poisson(0.6, n), sort),
    )
