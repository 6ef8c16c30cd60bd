"""How fast the sample shop is invented and written.

Baseline: plain Python loops (csv, json) that write a part of the same rows, values ready at hand.
The loops invent nothing, so the comparison favours them.
"""

import argparse
import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

from personalization_tests.benchmarks.measure import COST, measured, scratch, show, times
from personalization_tests.benchmarks.shops import END, SEED

PART = 20
"""The baseline writes every so-manieth row of each file."""


def shop(folder: Path, people: int) -> Callable[[], int]:
    """Work that writes a shop and gives its number of rows."""
    from personalization_assets.sample import generate

    def work() -> int:
        summary = generate(folder, people=people, seed=SEED, end=END, progress=lambda _: None)
        return sum(summary.rows.values())

    return work


def loops(landing: Path, out: Path) -> Callable[[], int]:
    """Work that writes a part of the rows of a shop, one by one, and gives their number."""
    tables: list[tuple[Path, list[str], list[tuple[object, ...]]]] = []
    lines: list[tuple[Path, list[dict[str, object]]]] = []
    for path in sorted(p for p in landing.rglob("*") if p.is_file()):
        target = out / path.name
        if path.suffix == ".csv":
            with path.open(encoding="cp1252" if path.parent.name == "loyalty" else "utf-8") as file:
                header, *rows = csv.reader(file)
            tables.append((target, header, [tuple(row) for row in rows[::PART]]))
        elif path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            part = frame.gather_every(PART).rows()
            tables.append((target.with_suffix(".csv"), frame.columns, part))
        elif ".ndjson" in path.name:
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rt", encoding="utf-8") as text:
                chosen = [line for i, line in enumerate(text) if i % PART == 0]
            lines.append((target, [e for e in map(_event, chosen) if e is not None]))

    def work() -> int:
        for target, header, rows in tables:
            with target.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(header)
                for row in rows:
                    writer.writerow(row)
        for target, events in lines:
            opened = gzip.open if target.suffix == ".gz" else open
            with opened(target, "wt", encoding="utf-8") as text:
                for event in events:
                    text.write(json.dumps(event) + "\n")
        return sum(len(rows) for *_, rows in tables) + sum(len(events) for _, events in lines)

    return work


def _event(line: str) -> dict[str, object] | None:
    try:
        event: dict[str, object] = json.loads(line)
    except ValueError:  # the shop has broken lines on purpose
        return None
    return event


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[5_000, 100_000])
    sizes = sorted(parser.parse_args().people)
    with scratch() as folder:
        made = [(n, *measured(shop, folder / str(n), n)) for n in sizes]
        (folder / "loops").mkdir()
        written, cost = measured(loops, folder / str(sizes[0]), folder / "loops")
    plain = written / cost.cpu
    rows = [["loops: write only", f"{written:,}", *cost.cells(), f"{plain:,.0f}", "1.00 x"]]
    for people, count, cost in made:
        speed = count / cost.cpu
        cells = [*cost.cells(), f"{speed:,.0f}", times(speed, plain)]
        rows.append([f"shop of {people:,} people", f"{count:,}", *cells])
    show("Sample shop", ["what", "rows", *COST, "rows/CPU s", "to loops"], rows)


if __name__ == "__main__":
    main()
