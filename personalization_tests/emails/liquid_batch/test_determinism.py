"""The same mails whatever the size and order of batches, whatever is remembered, in any process."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence

import pyarrow as pa
import pytest

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.liquid_batch import runtime
from personalization_tests.benchmarks import mails
from personalization_tests.emails.liquid_batch import data
from personalization_tests.emails.liquid_batch.fuzz import Case, limit_memos, make, merged, wanted

PEOPLE = 600


def compiled(shared: bool = True) -> liquid_batch.CompiledTemplate:
    template = mails.environment().from_string(mails.html())
    return liquid_batch.compile(template, mails.contract(shared), mails.CONSTANTS)


def texts(
    template: liquid_batch.CompiledTemplate, batches: Sequence[pa.RecordBatch]
) -> list[str | None]:
    return [t for b in batches for t in template.render(b).column("text").to_pylist()]


@pytest.fixture(scope="module")
def expected() -> list[str]:
    template = mails.environment().from_string(mails.html())
    rows = [row for batch in mails.batches(PEOPLE) for row in batch.to_pylist()]
    return [template.render(merged(mails.CONSTANTS, row)) for row in rows]


@pytest.mark.parametrize("rows", [1, 7, 256, PEOPLE])
@pytest.mark.parametrize("shared", [True, False], ids=["dictionaries", "plain"])
def test_the_size_of_batches_changes_nothing(expected: list[str], rows: int, shared: bool) -> None:
    assert texts(compiled(shared), list(mails.batches(PEOPLE, rows, shared))) == expected


def test_the_order_of_batches_changes_nothing(expected: list[str]) -> None:
    template, batches = compiled(), list(mails.batches(PEOPLE, 50))
    backwards = [texts(template, [batch]) for batch in reversed(batches)]
    assert [t for part in reversed(backwards) for t in part] == expected
    assert texts(template, batches) == expected


@pytest.mark.parametrize("learning", [0, 3, 10**9])
@pytest.mark.parametrize("size", [0, 3_000, 50_000])
def test_what_is_remembered_changes_nothing(
    expected: list[str], monkeypatch: pytest.MonkeyPatch, size: int, learning: int
) -> None:
    monkeypatch.setattr(runtime, "LEARNING", learning)
    template = compiled()
    limit_memos(template, size)
    batches = list(mails.batches(PEOPLE, 64))
    assert texts(template, batches) == expected
    assert texts(template, batches) == expected


def test_what_is_remembered_is_bounded_by_what_it_is_remembered_under_too() -> None:
    memo = runtime.Memo(limit=100_000)
    for number in range(1_000):
        for key in (f"{number}" + "x" * 5_000, (f"{number}", "x" * 5_000 + f"{number}")):
            memo.put(key, b"short")
            assert sum(len("".join(kept)) for kept in memo) < memo.limit
    assert memo


def test_lists_of_texts_are_not_taken_for_each_other() -> None:
    lists = [
        ["a", "b"],
        ["a,b"],
        ["a"],
        [],
        [None],
        [""],
        ["a", None, "b"],
        None,
        ["1"],
        ["a"] * 20,
    ]
    column = pa.array(lists, pa.list_(pa.string()))
    anything = [*lists, [1], [True], [1.0], [["a"]], ("a", "b"), "a", {"a": 1}, ["a", "b"]]
    environment = mails.environment("python-liquid")
    template = environment.from_string("{{ v | join: '+' }}|{{ v | first }}|{{ v | size }}")
    typed = liquid_batch.compile(template, {"v": column.type})
    want = [template.render(v=v) for v in lists]
    assert texts(typed, [pa.record_batch({"v": column})] * 2) == want * 2
    rows = liquid_batch.compile(template).render_rows([{"v": v} for v in anything])
    assert [done.text for done in rows] == [template.render(v=v) for v in anything]


PLACES = (
    "{% for p in products %}{{ forloop.index }}:{{ p.name }}{{ forloop.index }};{% endfor %}",
    "{% for p in products %}{{ p.name }}{{ forloop.rindex0 }}{{ forloop.length }}{% endfor %}",
    "{% for p in products reversed %}{% if forloop.index > 2 %}{{ p.name }}{% endif %}"
    "{{ forloop.index }}{% endfor %}",
    "{% for p in products %}{% capture c %}{{ forloop.index }}{% endcapture %}{{ c }}{{ p.name }}"
    "{% tablerow i in (1..2) %}{{ forloop.index0 }}{% endtablerow %}{% endfor %}",
    "{% for p in products %}{% for q in (1..2) %}{{ forloop.index }}{{ q }}{% endfor %}"
    "{{ p.name }}{{ forloop.index }}{{ forloop.index | plus: 1 }}{% endfor %}",
)


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_a_card_says_which_one_it_is_wherever_it_was_kept(place: int) -> None:
    names = pa.StructArray.from_arrays([pa.array(["Oak", "<Elm>", "Ash"])], ["name"])
    chosen = [[row % 3, (row + 1) % 3, 0] * (1 + 20 * (row == 4)) for row in range(9)]
    items = pa.DictionaryArray.from_arrays(pa.array([i for r in chosen for i in r]), names)
    ends = pa.array([sum(map(len, chosen[:row])) for row in range(10)], pa.int32())
    batch = pa.record_batch({"products": pa.ListArray.from_arrays(ends, items)})
    template = mails.environment("python-liquid").from_string(PLACES[place])
    made = liquid_batch.compile(template, {"products": batch.schema.field(0).type})
    assert texts(made, [batch, batch]) == [template.render(**r) for r in batch.to_pylist()] * 2
    if place == 0:
        kept = [m for m in made._run.__globals__.values() if isinstance(m, runtime.Memo)]  # type: ignore[union-attr]
        assert max(map(len, kept)) == 3, "one text for each product, not for each of its places"


def test_dictionaries_that_come_and_go_are_not_taken_for_each_other() -> None:
    # Each batch has dictionaries of its own, often at an address where another one was.
    case = Case(
        "{% for p in products %}{{ p.name }}/{{ p.price }};{% endfor %}{{ customer.tier }}",
        {},
        make(3).rows[:0],
        typed=True,
    )
    template = case.environment().from_string(case.template)
    made = liquid_batch.compile(template, data.CONTRACT)
    for seed in range(120):
        batch = data.batch(data.typed_rows(data.random.Random(seed), 3))
        want = [wanted(template, row)[1] for row in batch.to_pylist()]
        assert made.render(batch).column("text").to_pylist() == want


SCRIPT = """
import hashlib
from personalization_tests.emails.liquid_batch.test_determinism import compiled, digest
template = compiled()
print(digest(template), hashlib.sha256(template.source.encode()).hexdigest())
"""


def digest(template: liquid_batch.CompiledTemplate) -> str:
    found = hashlib.sha256()
    for text in texts(template, list(mails.batches(200, 64))):
        found.update((text or "").encode())
    return found.hexdigest()


@pytest.mark.parametrize("hashing", ["1", "2"])
def test_another_process_makes_the_same_code_and_the_same_mails(hashing: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hashing}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    ours = compiled()
    source = hashlib.sha256(ours.source.encode()).hexdigest()
    assert run.stdout.split() == [digest(ours), source]
