"""How many mails a CPU second renders, and what other engines do with the same mail.

    python -m personalization_tests.benchmarks.rendering          # a few minutes
    python -m personalization_tests.benchmarks.rendering --full   # also a million mails, stored

The mail of `mails.py` has 28 KB. Baseline of every ratio is python-liquid on contexts that are
ready, parsed once: the least that it can do. `--only` takes some parts: ours, rivals, shipped,
million.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from personalization_tests.benchmarks import mails
from personalization_tests.benchmarks.measure import COST, Cost, measured, scratch, show, times

CHUNK = 64
"""Rows that are rendered at once."""
TURNS = 3
"""Times that everything but the million is measured."""
SCHEMA = pa.schema([("id", pa.string()), ("html", pa.string())])
Done = tuple[int, int]
"""Mails and bytes of HTML."""


# --- python-liquid -------------------------------------------------------------------------------


def reference_text(people: int) -> Callable[[], Done]:
    """Contexts as mappings, ready; texts are made and dropped."""
    template = mails.environment().from_string(mails.html())
    rows = list(_contexts(people))

    def work() -> Done:
        return len(rows), sum(len(template.render(row)) for row in rows)

    return work


def reference_stored(people: int) -> Callable[[], Done]:
    """From Arrow batches into a Parquet file."""
    template = mails.environment().from_string(mails.html())
    batches = list(mails.batches(people, CHUNK))

    def texts(batch: pa.RecordBatch) -> pa.Array:
        return pa.array([template.render({**mails.CONSTANTS, **r}) for r in batch.to_pylist()])

    return lambda: _store(batches, texts)


def _contexts(people: int) -> Iterator[dict[str, Any]]:
    for batch in mails.batches(people, shared=False):
        for row in batch.to_pylist():
            yield {**mails.CONSTANTS, **row}


# --- ours ----------------------------------------------------------------------------------------


def _compiled(shared: bool | None) -> Any:
    from personalization_assets.emails import liquid_batch

    contract = None if shared is None else mails.contract(shared)
    template = mails.environment().from_string(mails.html())
    return liquid_batch.compile(template, contract, mails.CONSTANTS)


def rows_text(people: int) -> Callable[[], Done]:
    """Contexts as mappings, ready, equal products not one object; texts are made and dropped."""
    template = _compiled(None)
    rows = [row for batch in mails.batches(people, shared=False) for row in batch.to_pylist()]

    def work() -> Done:
        size = 0
        for start in range(0, len(rows), CHUNK):
            done = template.render_rows(rows[start : start + CHUNK])
            size += sum(len(one.text or "") for one in done)
        return len(rows), size

    return work


def columns_text(people: int, warm: bool) -> Callable[[], tuple[int, int, float]]:
    """Columns that are read already; with `warm`, by code that has rendered other people before.

    Gives the CPU seconds of rendering too: reading a chunk's columns goes before them.
    """
    from personalization_assets.emails.liquid_batch import Columns, Dictionaries

    template, dictionaries = _compiled(True), Dictionaries()
    if warm:
        earlier = mails.batches(2 * people, CHUNK, others=people)
        _render(template, (Columns(batch, dictionaries) for batch in earlier))
    batches = list(mails.batches(people, CHUNK))

    def work() -> tuple[int, int, float]:
        size, spent = 0, 0.0
        for batch in batches:
            columns = Columns(batch, dictionaries)
            for path in template._columns:
                columns.values(path)
            started = time.process_time()
            size += template.render(columns).column("text").nbytes
            spent += time.process_time() - started
        return people, size, spent

    return work


def arrow(people: int, shared: bool, warm: bool) -> Callable[[], Done]:
    """From Arrow batches to Arrow batches; products may be entries of a dictionary (`shared`)."""
    template = _compiled(shared)
    if warm:
        _render(template, mails.batches(2 * people, CHUNK, shared, others=people))
    batches = list(mails.batches(people, CHUNK, shared))
    return lambda: _render(template, iter(batches))


def stored(people: int, warm: bool) -> Callable[[], Done]:
    """From Arrow batches into a Parquet file, as the room stores mails."""
    template = _compiled(True)
    if warm:
        _render(template, mails.batches(2 * people, CHUNK, others=people))
    batches = list(mails.batches(people, CHUNK))
    return lambda: _store(batches, lambda batch: template.render(batch).column("text"))


def _render(template: Any, batches: Iterator[Any]) -> Done:
    count = size = 0
    for batch in batches:
        texts = template.render(batch).column("text")
        count += len(texts)
        size += texts.nbytes
    return count, size


def _store(batches: list[pa.RecordBatch], render: Callable[[pa.RecordBatch], pa.Array]) -> Done:
    from personalization_assets.emails.storage import write_parquet

    size = 0

    def made() -> Iterator[pa.RecordBatch]:
        nonlocal size
        for batch in batches:
            texts = render(batch)
            size += texts.nbytes
            ids = batch.column("cart").field("id")
            yield pa.RecordBatch.from_arrays([ids, texts], schema=SCHEMA)

    with scratch() as folder:
        return write_parquet(folder / "mails.parquet", made(), SCHEMA), size


def _timed(prepare: Callable[..., Callable[[], tuple[Any, ...]]], *args: Any) -> tuple[Done, Cost]:
    """What was done, and its cost; work that tells its own CPU seconds is taken at its word."""
    (count, size, *own), cost = measured(prepare, *args)
    return (count, size), replace(cost, cpu=own[0]) if own else cost


def _in_turns(works: Sequence[tuple[Any, ...]]) -> list[tuple[Done, Cost]]:
    """The cheapest turn of each: what else the machine does slows down some turns of all of them,
    of ours and of what they are compared with."""
    turns = [[_timed(*work) for work in works] for _ in range(TURNS)]
    return [min(of_one, key=lambda turn: turn[1].cpu) for of_one in zip(*turns, strict=True)]


def ours(people: int) -> None:
    """Print what python-liquid and compiled code do."""
    few = max(people // 10, 1)
    runs: list[tuple[str, float | None, tuple[Any, ...]]] = [
        ("python-liquid: contexts to text", None, (reference_text, few)),
        ("python-liquid: Arrow to Parquet", None, (reference_stored, few)),
        ("mappings to text, from the first mail on", None, (rows_text, people)),
        ("columns to text, from the first mail on", None, (columns_text, people, False)),
        ("columns to text", 30, (columns_text, people, True)),
        ("Arrow to Arrow, from the first mail on", None, (arrow, people, True, False)),
        ("Arrow to Arrow", 15, (arrow, people, True, True)),
        ("Arrow to Arrow, products not shared", None, (arrow, people, False, True)),
        ("Arrow to Parquet, from the first mail on", None, (stored, people, False)),
        ("Arrow to Parquet", 11, (stored, people, True)),
    ]
    done = _in_turns([work for _, _, work in runs])
    (count, _), plain = done[0]
    baseline = count / plain.cpu
    rows = [
        _row(name, count, size, cost, baseline, aim)
        for (name, aim, _), ((count, size), cost) in zip(runs, done, strict=True)
    ]
    heads = ["what", "mails", "KB each", *COST, "mails/CPU s", "to python-liquid", "aim"]
    show("One process, one mail of 28 KB", heads, rows)


def _row(
    name: str, count: int, size: int, cost: Cost, baseline: float, aim: float | None = None
) -> list[str]:
    speed = count / cost.cpu
    figures = [f"{count:,}", f"{size / max(count, 1) / 1000:.1f}", *cost.cells(), f"{speed:,.0f}"]
    return [name, *figures, times(speed, baseline), _met(speed / baseline, aim)]


def _met(ratio: float, aim: float | None) -> str:
    return "" if aim is None else f"{aim:g} x: {'met' if ratio >= aim else 'missed'}"


def _speed(prepare: Callable[..., Any], *args: Any) -> float:
    (count, _), cost = _timed(prepare, *args)
    return count / cost.cpu


def others(people: int) -> None:
    """Print what rivals do with the same mail, and how our two ways to a text compare.

    All take turns, and the fastest turn of each counts, as in `_in_turns`.
    """
    from personalization_tests.benchmarks.rendering_rivals import COMPARED, Run, rivals

    columns = mappings = 0.0
    best: dict[str, Run] = {}
    for _ in range(TURNS):
        columns = max(columns, _speed(columns_text, people, True))
        mappings = max(mappings, _speed(rows_text, people))
        for run in rivals(max(people // 20, COMPARED)):
            best[run.name] = max(best.get(run.name, run), run, key=lambda one: one.speed)
    rows = [["ours, columns to text", f"{columns:,.0f}", "", "", ""]]
    rows.append(["ours, mappings to text, from the first mail on", f"{mappings:,.0f}", "", "", ""])
    for rival in best.values():
        if rival.missing:
            rows.append([f"{rival.name} (skipped: {rival.missing})", "", "", "", ""])
            continue
        ratios = [times(columns, rival.speed), times(mappings, rival.speed)]
        same = f"{rival.same} of {COMPARED}"
        rows.append([rival.name, f"{rival.speed:,.0f}", *ratios, same])
    heads = ["engine", "mails/CPU s", "our columns to it", "our mappings to it", "read as ours"]
    show("Other engines: mappings to text, parsed once, warm", heads, rows)
    fastest = max((r.speed for r in best.values()), default=0.0)
    if fastest:
        found = f"{times(columns, fastest)}; aim {_met(columns / fastest, 3)}"
        print(f"\nOur columns to text, to the fastest that ran: {found}")


# --- the shipped campaign ------------------------------------------------------------------------


def _weekly(people: int) -> tuple[Any, list[pa.RecordBatch]]:
    """The weekly campaign's first variant, and the contexts of its mails."""
    from personalization_assets.emails.audience import decide
    from personalization_assets.emails.brand import load_brand
    from personalization_assets.emails.building import compile_all, contexts_of
    from personalization_assets.emails.campaigns import load_campaigns
    from personalization_assets.emails.contexts import prepare
    from personalization_assets.emails.settings import EmailsSettings
    from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop, publish

    con, settings = make_shop(people), EmailsSettings()
    campaigns = load_campaigns(PROJECT / "data" / "campaigns")
    weekly = [c for c in campaigns if c.name == "weekly_recommendations"]
    brand = load_brand(PROJECT / "data" / "brand.yaml")
    publish(con, "emails.audience", decide(con, weekly, settings, AS_OF))
    templates = compile_all(con, weekly, brand, settings, AS_OF)[0]
    prepare(con, brand, settings.bestseller_days)
    return templates, list(contexts_of(con, templates, settings.chunk_rows))


def shipped(people: int) -> Callable[[], Done]:
    """The room's own rendering: four parts, signed links, headers, hashes."""
    from personalization_assets.emails.links import Signer
    from personalization_assets.emails.render import render
    from personalization_tests.emails.shop import AS_OF

    templates, batches = _weekly(people)

    def work() -> Done:
        count = size = 0
        for batch in render(templates, batches, Signer(b"0123456789abcdef"), AS_OF):
            count += batch.num_rows
            size += batch.column("html").nbytes
        return count, size

    return work


def shipped_reference(people: int) -> Callable[[], Done]:
    """python-liquid on the same parsed templates and contexts: the texts of the parts alone."""
    from personalization_assets.emails.liquid_batch import AbortMail
    from personalization_assets.emails.liquid_batch.columns import merged
    from personalization_assets.emails.mail_context import constants
    from personalization_assets.emails.render import PARTS, shop_links

    templates, batches = _weekly(people)
    fixed = {**constants(templates.brand, templates.campaign), "links": shop_links(templates)}
    signed = {"links": {"unsubscribe": "u", "preferences": "p", "one_click": "o"}}
    rows = [merged(fixed, {**row, **signed}) for batch in batches for row in batch.to_pylist()]

    def work() -> Done:
        size = 0
        for row in rows:
            try:
                done = {part: templates.parsed[part].render(row) for part in PARTS}
            except AbortMail:
                continue
            size += len(done["html"].encode())
        return len(rows), size

    return work


def weekly(people: int) -> None:
    """Print what the room does with the shipped weekly campaign."""
    works = [(shipped_reference, people // 5), (shipped, people)]
    ((few, few_bytes), plain), ((count, size), cost) = _in_turns(works)
    baseline = few / plain.cpu
    rows = [_row("python-liquid: the texts alone", few, few_bytes, plain, baseline)]
    rows.append(_row("the room: whole mails", count, size, cost, baseline))
    heads = ["what", "mails", "KB each", *COST, "mails/CPU s", "to python-liquid", "aim"]
    show("Shipped weekly campaign, one process", heads, rows)


# --- a million -----------------------------------------------------------------------------------


def million(sizes: list[int], workers: int = 2) -> None:
    """Print what it costs to render and store so many mails with two processes."""
    rows = []
    for people in sizes:
        with scratch() as folder:
            _write_contexts(folder / "contexts.arrow", people)
            cost, peak, stored_mb = _in_workers(folder, people, workers)
        each = cost / people * 1e6
        aim = "120 CPU s, 1,536 MB: "
        met = "met" if cost < 120 and peak < 1536 else "missed"
        figures = [f"{cost:,.1f}", f"{each:.1f}", f"{peak:,.0f}", f"{stored_mb:,.0f}"]
        rows.append([f"{people:,}", *figures, aim + met if people >= 1_000_000 else ""])
    heads = ["mails", "CPU s", "us each", "peak MB a worker", "MB stored", "aim"]
    show(f"Rendered and stored by {workers} processes, starting them in it", heads, rows)


def _write_contexts(path: Path, people: int) -> None:
    with pa.OSFile(str(path), "wb") as sink:
        batches = mails.batches(people, 8_192)
        first = next(batches)
        with pa.ipc.new_file(sink, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)


def _in_workers(folder: Path, people: int, workers: int) -> tuple[float, float, float]:
    """CPU seconds of all workers, peak memory of the largest, MB of their files."""
    before = os.times()
    command = [sys.executable, "-m", "personalization_tests.benchmarks.rendering_worker"]
    running = [
        subprocess.Popen(
            [*command, str(folder), str(k), str(workers)], stdout=subprocess.PIPE, text=True
        )
        for k in range(workers)
    ]
    said = [worker.communicate()[0].split() for worker in running]
    if any(worker.returncode for worker in running):
        raise RuntimeError("a worker ended without a result; it has printed why")
    after = os.times()
    spent = after.children_user - before.children_user
    spent += after.children_system - before.children_system
    assert sum(int(count) for count, _ in said) == people
    size = sum(p.stat().st_size for p in folder.glob("*.parquet"))
    return spent, max(float(peak) for _, peak in said), size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--people", type=int, default=40_000, help="mails of each measurement")
    parser.add_argument("--full", action="store_true", help="also 1,000,000 mails")
    parts = ("ours", "rivals", "shipped", "million")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    given = parser.parse_args()
    if "ours" in given.only:
        ours(given.people)
    if "rivals" in given.only:
        others(given.people)
    if "shipped" in given.only:
        weekly(given.people // 2)
    if "million" in given.only:
        million([10_000, 100_000, 1_000_000] if given.full else [10_000])


if __name__ == "__main__":
    main()
