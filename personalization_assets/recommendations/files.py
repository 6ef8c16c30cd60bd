"""The recommender on interactions in files, without a shop around it: read, cut, tune, judge.

The same models, search and measures that a shop's own versions are made with, on `user, item` and
if there are `weight` and `timestamp`. This is how quality is compared on public data.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.recommendations import judging, models, tuning
from personalization_assets.recommendations.models import candidates

NAMES = {
    "user": ("user", "user_id", "userid", "customer_id", "customer", "uid"),
    "item": ("item", "item_id", "itemid", "product_id", "product", "iid"),
    "weight": ("weight", "count"),
    "timestamp": ("timestamp", "time", "ts", "date", "unix_timestamp"),
}
VALID_SHARE = 0.1
"""Of each user's interactions, or of the time, goes to validation where none is given"""

DAY = 86_400.0
JUDGED_IN_SEARCH = 30_000
"""At most so many customers are looked at in a trial"""


@dataclass(frozen=True)
class Events:
    """Interactions of a file: `customer_id, product_id, weight, at` (seconds, null if unknown)."""

    rows: pl.DataFrame
    left_out: int
    """Lines without a user or an item"""

    @property
    def timed(self) -> bool:
        """Whether every interaction has a time."""
        return bool(self.rows.height) and self.rows["at"].null_count() == 0


@dataclass(frozen=True)
class Result:
    """How one candidate did."""

    candidate: str
    recipe: models.Recipe | None
    scores: judging.Scores
    seconds: float
    peak_mb: float

    def mean(self, metric: str, k: int) -> float:
        """The mean over users."""
        values = self.scores[metric, k]
        return float(values.mean()) if len(values) else 0.0


def read_events(path: Path) -> Events:
    """Interactions from CSV, TSV or Parquet with named columns, or lines `user item item ...`.

    Raises:
        UserError: the file is not there or not readable as such, or a column is missing.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pl.read_parquet(path)
        else:
            with path.open(encoding="utf-8") as file:
                head = file.readline()
            if not any(c.isalpha() for c in head) and "," not in head and "\t" not in head:
                return _adjacency(path)
            separator = "\t" if "\t" in head else ","
            frame = pl.read_csv(path, separator=separator, infer_schema=False)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}: name a file of interactions.") from None
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read as CSV, TSV or Parquet: {reason}") from None
    return _events(path, frame)


def _adjacency(path: Path) -> Events:
    """Lines of a user and all their items, as LightGCN's data sets come."""
    lines = pl.DataFrame({"line": path.read_text(encoding="utf-8").splitlines()})
    words = lines.select(pl.col("line").str.strip_chars().str.split(" ")).with_columns(
        customer_id=pl.col("line").list.first(),
        product_id=pl.col("line").list.slice(1),
    )
    rows = words.explode("product_id").filter(
        pl.col("product_id").is_not_null() & (pl.col("product_id") != "")
    )
    return Events(
        rows.select(
            "customer_id",
            "product_id",
            weight=pl.lit(1.0),
            at=pl.lit(None, dtype=pl.Float64),
        ),
        0,
    )


def _events(path: Path, frame: pl.DataFrame) -> Events:
    lower = {name.strip().lower(): name for name in frame.columns}
    found = {
        kind: next((lower[name] for name in names if name in lower), None)
        for kind, names in NAMES.items()
    }
    for kind in ("user", "item"):
        if found[kind] is None:
            raise UserError(
                f"{path} has no column `{kind}` (it has {', '.join(frame.columns[:8])}): "
                "name one so."
            )
    user, item = pl.col(str(found["user"])), pl.col(str(found["item"]))
    weight = found["weight"]
    rows = frame.select(
        customer_id=user.cast(pl.String).str.strip_chars(),
        product_id=item.cast(pl.String).str.strip_chars(),
        weight=pl.col(weight).cast(pl.Float64, strict=False) if weight else pl.lit(1.0),
        at=_seconds(frame[found["timestamp"]]) if found["timestamp"] else pl.lit(None),
    ).with_columns(pl.col("at").cast(pl.Float64))
    for column in ("weight", *(["at"] if found["timestamp"] else [])):
        wrong = rows[column].null_count() + int(rows[column].is_nan().sum())
        if wrong:
            kind = "weight" if column == "weight" else "timestamp"
            raise UserError(
                f"{path} has {wrong:,} rows whose `{found[kind]}` is not a "
                f"{'number' if kind == 'weight' else 'time'}: correct or leave out the column."
            )
    named = ((pl.col("customer_id") != "") & (pl.col("product_id") != "")).fill_null(False)
    kept = rows.filter(named)
    if kept.is_empty():
        raise UserError(f"{path} holds no interactions: every row lacks a user or an item.")
    return Events(kept, rows.height - kept.height)


def _seconds(column: pl.Series) -> pl.Series:
    """Seconds since 1970 from numbers (seconds, milliseconds ...) or written times."""
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() > column.null_count():
        texts = pl.DataFrame({"written": column}).with_row_index("line")
        with duckdb.connect() as con:
            con.register("texts", texts.to_arrow())
            read: pl.DataFrame = con.sql(
                "SELECT epoch_us(try_cast(written AS TIMESTAMP)) / 1e6 AS seconds"
                " FROM texts ORDER BY line"
            ).pl()
        return read["seconds"]
    largest = float(numbers.abs().max() or 0.0)  # type: ignore[arg-type]
    for unit in (1e9, 1e6, 1e3):
        if largest > 1e10 * unit / 10:
            return numbers / unit
    return numbers


def cut(train: Events, test: Events, seed: int) -> tuple[Events, Events, str]:
    """A validation part off the training data, cut the way the test data was.

    Test data that all came later: the last tenth of the time. Else with times: each user's last
    tenth. Without times: a tenth of each user's, by a hash. Returns what is left, what was cut off,
    and how in words.
    """
    rows = train.rows
    if train.timed and test.timed:
        if float(test.rows["at"].min()) >= float(rows["at"].max()):  # type: ignore[arg-type]
            limit = rows["at"].quantile(1 - VALID_SHARE, interpolation="lower")
            late, how = rows["at"] > limit, "the last tenth, as the test data came later too"
            return _parts(train, late, how)
        order = pl.col("at")
        how = "each user's last tenth"
    else:
        order = pl.concat_str("customer_id", pl.lit("\x1f"), "product_id").hash(seed)
        how = "a tenth of each user's, by chance"
    amounts = pl.len().over("customer_id")
    place = order.rank("ordinal", descending=True).over("customer_id")
    share = (amounts * VALID_SHARE).ceil()
    late = rows.select((amounts >= 3) & (place <= share)).to_series()
    return _parts(train, late, how)


def _parts(events: Events, late: pl.Series, how: str) -> tuple[Events, Events, str]:
    return Events(events.rows.filter(~late), 0), Events(events.rows.filter(late), 0), how


def window(known: Events, later: Events, half_life_days: float, most: int | None) -> judging.Split:
    """What was known and what came later, ready for judging. `most` samples users, see `sampled`.

    Popularity is the number of a product's users; `latest` that of the last tenth of the time.
    """
    rows = known.rows
    if known.timed:
        age = (rows["at"].max() - pl.col("at")) / DAY
        rows = rows.with_columns(weight=pl.col("weight") * 0.5 ** (age / half_life_days))
    pairs = rows.group_by("customer_id", "product_id").agg(
        pl.col("weight").sum(), purchases=pl.len()
    )
    users = rows.group_by("product_id").agg(ever=pl.col("customer_id").n_unique())
    recent = rows
    if known.timed:
        limit = rows["at"].quantile(1 - VALID_SHARE, interpolation="lower")
        recent = rows.filter(pl.col("at") > limit)
    lately = recent.group_by("product_id").agg(latest=pl.col("customer_id").n_unique())
    demand = users.join(lately, on="product_id", how="left").with_columns(recent="ever")
    return judging.split(
        (pairs if most is None else judging.sampled(pairs, most)).sort("customer_id", "product_id"),
        later.rows.select("customer_id", "product_id").unique(maintain_order=True),
        demand.with_columns(pl.col("latest").fill_null(0)).sort("product_id"),
        pl.DataFrame(schema={"product_id": pl.String, "category": pl.String}),
        sys.maxsize if most is None else JUDGED_IN_SEARCH,
    )


def search(
    known: Events,
    later: Events,
    start: models.Recipe,
    metric: tuple[str, int],
    target: str,
    most: int,
    seed: int,
    threads: int,
    progress: Callable[[str], None],
) -> models.Recipe:
    """The best recipe of an algorithm on a validation part."""
    parts: dict[float, judging.Split] = {}

    def split_at(half_life_days: float) -> judging.Split:
        if half_life_days not in parts:
            parts[half_life_days] = window(known, later, half_life_days, most)
        return parts[half_life_days]

    fixed = set() if known.timed else {"half_life_days"}
    if target == "new":
        fixed.add("history")  # seen items are not listed, so their bonus changes nothing
    trials: list[tuning.Trial] = []
    for trial in tuning.Search(split_at, metric, target, seed, threads).trials(
        start, frozenset(fixed)
    ):
        trials.append(trial)
        best = tuning.chosen(trials)
        progress(
            f"{start.algorithm}: trial {len(trials)}, best {metric[0]}@{metric[1]} {best.value:.4f}"
        )
    return tuning.chosen(trials).recipe


def contest(
    known: Events,
    later: Events,
    recipes: dict[str, models.Recipe],
    target: str,
    seed: int,
    threads: int,
) -> Iterator[Result]:
    """Train and judge the simple baselines and each recipe on everything known."""
    plain = window(known, later, next(iter(recipes.values())).half_life_days, None)
    for name in ("popular", *(["recent"] if known.timed else []), *(
        ["history"] if target == "all" else []
    )):  # fmt: skip
        yield _judged(
            name,
            None,
            plain,
            target,
            lambda name=name: candidates.BASELINES[name](  # type: ignore[misc]
                plain, plain.bought[plain.judged] if target == "new" else None, 20, threads
            ),
        )
    for name, recipe in recipes.items():
        part = window(known, later, recipe.half_life_days, None)

        def lists(recipe: models.Recipe = recipe, part: judging.Split = part) -> pl.DataFrame:
            model = models.fit(part.known, recipe, seed, threads)
            found: pl.DataFrame = candidates.of_model(part, model, target, threads=threads)
            return found

        yield _judged(name, recipe, part, target, lists)


def _judged(
    name: str,
    recipe: models.Recipe | None,
    part: judging.Split,
    target: str,
    lists: Callable[[], pl.DataFrame],
) -> Result:
    _forget_peak()
    started = time.perf_counter()
    found = lists()
    seconds = time.perf_counter() - started
    peak = _peak_mb()
    scores = judging.judge(found, part.truth[target], len(part.judged), len(part.known.products))
    return Result(name, recipe, scores, seconds, peak)


def repeats(train: Events, test: Events) -> float:
    """Share of the test's pairs that the training data has too."""
    pair = ["customer_id", "product_id"]
    asked = test.rows.select(pair).unique()
    return asked.join(train.rows, on=pair, how="semi").height / max(asked.height, 1)


def together(*parts: Events) -> Events:
    """All interactions of several files."""
    return Events(pl.concat([part.rows for part in parts]), sum(part.left_out for part in parts))


def rows_of(results: list[Result], k: int) -> list[dict[str, float | str]]:
    """Plain values for a table: one row a candidate."""
    return [
        {
            "candidate": r.candidate,
            **{f"{m}@{k}": r.mean(m, k) for m in (*judging.METRICS, "coverage")},
            "seconds": r.seconds,
            "peak_mb": r.peak_mb,
        }
        for r in results
    ]


def _forget_peak() -> None:
    """Start the peak of memory anew where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak_mb() -> float:
    """Peak memory of this process, libraries and data included."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        unit = 1024**2 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
