"""What a compiled template tells of itself: what is kept, what is not compiled, what came back."""

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.liquid_batch import BatchEnvironment, CompiledTemplate, Limits

PRODUCT = pa.struct([("name", pa.string()), ("price", pa.float64())])
CONTRACT = {
    "customer": pa.struct([("id", pa.string()), ("tags", pa.list_(pa.string()))]),
    "products": pa.list_(pa.dictionary(pa.int32(), PRODUCT)),
}


def compiled(source: str, typed: bool = True, **options: Any) -> CompiledTemplate:
    env = BatchEnvironment(now=datetime(2026, 11, 1), **options)
    template = env.from_string(source, name="card")
    return liquid_batch.compile(template, CONTRACT if typed else None)


def test_a_loop_that_uses_a_person_says_which_field_and_where() -> None:
    body = "\n{{ p.name }}\n{% if customer.tags contains p.name %}liked{% endif %}\n"
    loop = compiled("Hello\n{% for p in products %}" + body + "{% endfor %}").report.loops[0]
    assert (loop.template, loop.place, loop.loop) == ("card", "line 2", "p in products")
    assert loop.obstacles == ("uses customer.tags at line 4",)
    assert "rendered anew for each row: uses customer.tags at line 4" in str(loop)


def test_a_loop_that_prints_an_id_says_that_its_text_depends_on_it() -> None:
    report = compiled("{% for p in products %}\n{{ customer.id }}{{ p.name }}{% endfor %}").report
    assert report.loops[0].depends == ("customer.id at line 2",)
    assert report.loops[0].obstacles == ()


def test_a_loop_over_products_alone_is_kept() -> None:
    report = compiled("{% for p in products %}{{ p.name }} {{ p.price }}{% endfor %}").report
    assert not report.loops[0].obstacles
    assert report.advice == []


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("{% cycle 'a', 'b' %}", "uses cycle at line 1"),
        ("{% increment n %}", "uses increment at line 1"),
        ("{% if p.price > 3 %}{% break %}{% endif %}", "uses break at line 1"),
        ("{% assign seen = p.name %}", "sets seen, which is used outside of the loop"),
    ],
)
def test_what_must_run_each_time_is_named(inside: str, why: str) -> None:
    source = "{% for p in products %}" + inside + "{{ p.name }}{% endfor %}{{ seen }}"
    assert compiled(source).report.loops[0].obstacles == (why,)


def test_an_id_in_a_loop_is_found_out_once_it_never_repeats() -> None:
    made = compiled("{% for p in products %}{{ customer.id }}{{ p.name }}{% endfor %}")
    ids = [f"c{i}" for i in range(6_000)]
    products = pa.ListArray.from_arrays(
        pa.array(range(6_001), pa.int32()),
        pa.DictionaryArray.from_arrays(
            pa.array([0] * 6_000, pa.int32()), pa.array([{"name": "a", "price": 1.0}], PRODUCT)
        ),
    )
    people = pa.array([{"id": i, "tags": []} for i in ids], CONTRACT["customer"])
    made.render(pa.record_batch({"customer": people, "products": products}))
    assert not made.report.loops[0].repeats
    assert "rendered anew nearly always" in made.report.advice[0]


def test_rows_that_python_liquid_had_to_render_are_counted_with_their_cause() -> None:
    made = compiled("Hi\n{{ n | divided_by: d }}", typed=False)
    rows = [{"n": 6, "d": 3}, {"n": 6, "d": 0}, {"n": 6, "d": 0}, {"n": "\ud800", "d": 1}]
    status = [done.status for done in made.render_rows(rows)]
    assert status == ["rendered", "error", "error", "rendered"]
    assert (made.report.rows, made.report.sent_back) == (4, 2)
    assert made.report.causes == {"FilterArgumentError in card line 2": 2}
    assert made.report.advice == [
        "2 of 4 rows were rendered again by python-liquid: FilterArgumentError in card line 2 (2)"
    ]


def test_a_text_above_its_limit_is_an_error_with_its_line() -> None:
    made = compiled("{{ s }}", typed=False, limits=Limits(output_bytes=10))
    short, long = made.render_rows([{"s": "x" * 10}, {"s": "x" * 11}])
    assert (short.status, short.text) == ("rendered", "x" * 10)
    assert (long.status, long.reason) == ("error", "OutputStreamLimitError in card line 1")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a\n{% include customer.id %}", "include of a name that is not known before rendering"),
        ("a\n{% for a in products %}{{ forloop }}{% endfor %}", "forloop"),
        ("a\n{{ s | counted }}", "the filter counted"),
    ],
)
def test_a_template_that_is_not_compiled_says_why_and_where(source: str, why: str) -> None:
    def counted(value: object, *, context: Any) -> str:
        return str(value)

    counted.with_context = True  # type: ignore[attr-defined]
    made = compiled(source, extra_filters={"counted": counted})
    assert not made.report.compiled
    assert made.report.why_not.startswith(why)
    assert made.report.why_not.endswith("at line 2")
    assert made.report.advice == [
        f"rendered by python-liquid, which is slow: {made.report.why_not}"
    ]


def test_a_filter_that_changes_its_mind_is_asked_each_time() -> None:
    asked: list[object] = []

    def next_number(value: object) -> int:
        asked.append(value)
        return len(asked)

    made = compiled("{{ 'a' | next }}", typed=False, extra_filters={"next": next_number})
    assert [done.text for done in made.render_rows([{}, {}, {}])] == ["1", "2", "3"]
