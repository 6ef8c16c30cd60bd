"""What may be empty is not printed bare: which conditions guard a value, and that they do."""

import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid.exceptions import LiquidTypeError

from personalization_assets.emails.checking.findings import Findings
from personalization_assets.emails.checking.sources import Source
from personalization_assets.emails.checking.types import KEEP_NIL
from personalization_assets.emails.checking.variables import TemplateCheck
from personalization_assets.emails.liquid_batch import AbortMail
from personalization_assets.emails.liquid_env import LOOPS, MailEnvironment
from personalization_assets.emails.mail_context import NEVER_EMPTY, mail_contract
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.settings import Settings
from personalization_assets.sql_models import read_sql_model
from personalization_tests.emails.checked import BRAND, CUSTOMER
from personalization_tests.emails.shop import AS_OF

CONTRACT = mail_contract(CUSTOMER)
PARTS = {
    "bare": "{{ a }}",
    "guarded": "{% if a %}{{ a }}{% endif %}",
    "item": "{{ p.name }}{{ p.category }}",
    "root": "{{ customer.city }}",
}


def environment() -> MailEnvironment:
    return MailEnvironment(
        html=False, brand=BRAND, utm={}, as_of=AS_OF, settings=EmailsSettings(), partials=PARTS
    )


def warnings(text: str, env: MailEnvironment | None = None) -> list[tuple[str, int]]:
    """Name and line of everything that may be printed empty."""
    env = env or environment()
    sources = {
        name: Source(name, part, ((Path(f"{name}.liquid"), 1),)) for name, part in PARTS.items()
    }
    lines = tuple((Path("t"), n + 1) for n in range(text.count("\n") + 1))
    found = Findings()
    TemplateCheck(env, CONTRACT, sources, found).run(
        env.from_string(text, name="t"), Source("t", text, lines, path=Path("t"))
    )
    assert not found.errors, found.errors
    return [(f.message.split(" ")[0], f.line) for f in found.all]


@pytest.mark.parametrize(
    "text",
    [
        "{{ customer.city }}",
        "{{ customer.city | upcase }}",
        "{{ customer.city | truncate: 4 }}",
        "{{ 'in ' | append: customer.city }}",
        "{{ customer.country | default: customer.city }}",
        "{% echo customer.city %}",
        "{% if customer.country %}{{ customer.city }}{% endif %}",
        "{% if customer.city %}{% endif %}{{ customer.city }}",
        "{% if customer.city %}{% else %}{{ customer.city }}{% endif %}",
        "{% if customer.city == nil %}{{ customer.city }}{% endif %}",
        "{% if customer.city != '' %}{{ customer.city }}{% endif %}",
        "{% if customer.city != empty %}{{ customer.city }}{% endif %}",
        "{% if customer.city != 'Cork' %}{{ customer.city }}{% endif %}",
        "{% if customer.city or customer.country %}{{ customer.city }}{% endif %}",
        "{% unless customer.city %}{{ customer.city }}{% endunless %}",
        "{% unless customer.orders > 3 %}{{ customer.orders }}{% endunless %}",
        "{% case customer.city %}{% when 'Cork' %}{% else %}{{ customer.city }}{% endcase %}",
        "{% case customer.city %}{% when nil, 'x' %}{{ customer.city }}{% endcase %}",
        "{% assign c = customer.city %}{{ c }}",
        "{% assign c = customer.city | upcase %}{% if c %}{{ c }}{% endif %}",
        "{% if customer.city %}{% assign c = 'x' %}{% endif %}{{ c }}",
        "{% assign c = 'x' %}{% if c %}{% assign c = customer.city %}{{ c }}{% endif %}",
        "{% capture c %}{{ customer.city }}{% endcapture %}{{ c }}",
        "{% for p in recommendations %}{{ p.category }}{% endfor %}",
        "{% for p in recommendations %}{% if p.category %}{% endif %}{% endfor %}"
        "{% for p in recommendations %}{{ p.category }}{% endfor %}",
        "{% for l in customer.open_cart %}{{ l.quantity }}{% endfor %}",
        "{{ cart.items[0].name }}",
        "{% assign i = cart.items | first %}{{ i.name }}",
        "{{ customer.stated_categories.size }}",
        "{% if customer.stated_categories.size != 0 %}{{ customer.stated_categories.first }}"
        "{% endif %}",
        "{% if customer.stated_categories %}{{ customer.stated_categories.first }}{% endif %}",
        "{% render 'bare', a: customer.city %}",
        "{% render 'root' %}",
        "{% for x in (1..2) %}{% if last %}{{ last }}{% endif %}{% assign last = customer.city %}"
        "{{ last }}{% endfor %}",
    ],
)
def test_a_value_that_may_be_empty_is_found(text: str) -> None:
    if "last" in text:
        text = "{% assign last = 'a' %}" + text
    assert warnings("\n" + text), text
    assert all(line in (1, 2) for _, line in warnings("\n" + text))


@pytest.mark.parametrize(
    "text",
    [
        "{{ customer.customer_id }}{{ mail.year }}{{ links.home }}{{ brand.name }}{{ cart.total }}",
        "{{ customer.city | default: 'your town' }}",
        "{{ customer.city | default: customer.customer_id | upcase }}",
        "{{ customer.stated_categories | size }}",
        "{% if customer.city %}{{ customer.city | upcase }}{% endif %}",
        "{% if customer.city and customer.orders > 0 %}{{ customer.city }}{{ customer.orders }}"
        "{% endif %}",
        "{% if customer.city == nil %}a{% else %}{{ customer.city }}{% endif %}",
        "{% if customer.city == nil %}a{% elsif customer.country %}{{ customer.city }}"
        "{{ customer.country }}{% else %}{{ customer.city }}{% endif %}",
        "{% if customer.city != nil %}{{ customer.city }}{% endif %}",
        "{% if customer.city != blank %}{{ customer.city }}{% endif %}",
        "{% if customer.city == blank %}a{% else %}{{ customer.city }}{% endif %}",
        "{% if customer.city == 'Cork' %}{{ customer.city }}{% endif %}",
        "{% if customer.city contains 'Co' %}{{ customer.city }}{% endif %}",
        "{% if customer.city == nil or customer.country == nil %}a{% else %}"
        "{{ customer.city }}{{ customer.country }}{% endif %}",
        "{% if customer.orders >= 1 %}{{ customer.orders }}{% endif %}",
        "{% if 1 < customer.orders %}{{ customer.orders }}{% endif %}",
        "{% if customer.orders == 1 %}a{% elsif customer.orders > 1 %}{{ customer.orders }}"
        "{% endif %}",
        "{% unless customer.city == nil %}{{ customer.city }}{% endunless %}",
        "{% unless customer.city %}a{% else %}{{ customer.city }}{% endunless %}",
        "{% case customer.city %}{% when 'Cork', 'Galway' %}{{ customer.city }}{% endcase %}",
        "{% case customer.city %}{% when nil %}a{% else %}{{ customer.city }}{% endcase %}",
        "{% assign c = customer.city %}{% if c %}{{ c }}{{ customer.city }}{% endif %}",
        "{% assign c = customer.city %}{% if customer.city %}{{ c }}{% endif %}",
        "{% assign c = customer.city | upcase %}{% if customer.city %}{{ c }}{% endif %}",
        "{% assign c = customer.city | upcase %}{% if c != '' %}{{ c }}{% endif %}",
        "{% if customer.city %}{% assign c = customer.city %}{% else %}{% assign c = 'a' %}"
        "{% endif %}{{ c }}",
        "{% assign c = customer.city | default: 'a' %}{{ c }}",
        "{% if customer.city %}{% capture c %}{{ customer.city }}{% endcapture %}{{ c }}"
        "{% endif %}",
        "{% unless customer.city %}{% abort_message 'no city' %}{% endunless %}{{ customer.city }}",
        "{% for p in recommendations %}{{ p.name }}{% if p.category %}{{ p.category }}{% endif %}"
        "{% endfor %}",
        "{% for p in recommendations %}{% unless p.category %}{% continue %}{% endunless %}"
        "{{ p.category }}{{ forloop.index }}{% endfor %}",
        "{% for c in customer.stated_categories %}{{ c }}{{ customer.stated_categories.first }}"
        "{% endfor %}",
        "{% if cart.size > 0 %}{{ cart.items[0].name }}{{ cart.items.first.url }}{% endif %}",
        "{% if cart.size == 1 %}{% assign i = cart.items | first %}{{ i.name }}{% endif %}",
        "{% assign i = cart.items | first %}{% if i %}{{ i.name }}{% endif %}",
        "{% assign i = cart.items | first %}{% if i.category %}{{ i.name }}{{ i.category }}"
        "{% endif %}",
        "{% if cart.size == 0 %}{% abort_message 'x' %}{% endif %}{{ cart.items.first.name }}",
        "{% if recommendations.size < 1 %}a{% else %}{{ recommendations[0].name }}{% endif %}",
        "{% assign n = recommendations | size %}{% if n > 2 %}{{ recommendations.last.name }}"
        "{% endif %}",
        "{% assign s = recommendations | sort: 'price' %}{% if recommendations.size > 0 %}"
        "{{ s.first.name }}{% endif %}",
        "{% if customer.stated_categories.size > 0 %}{{ customer.stated_categories | first }}"
        "{{ customer.stated_categories | slice: 0, 2 | join: ', ' }}{% endif %}",
        "{% if customer.city %}{% render 'bare', a: customer.city %}{% render 'root' %}{% endif %}",
        "{% render 'guarded', a: customer.city %}",
        "{% tablerow p in recommendations cols: 2 %}{{ p.name }}{% endtablerow %}",
        "{% assign t = 0 %}{% for i in cart.items %}{% assign t = t | plus: i.quantity %}"
        "{% endfor %}{{ t }}",
        "{% liquid\n if customer.city\n echo customer.city\n endif %}",
    ],
)
def test_a_guard_or_a_default_makes_the_warning_go_away(text: str) -> None:
    assert warnings(text) == [], text


def test_a_part_that_is_rendered_with_an_empty_value_is_told_with_its_own_place() -> None:
    text = "\n{% for p in recommendations %}{% render 'item', p: p %}{% endfor %}"
    assert warnings(text) == [("p.category", 1)]


def test_blank_guards_against_nil_exactly_where_it_does_when_rendered() -> None:
    text = "{% if customer.city != blank %}{{ customer.city }}{% endif %}"
    env = environment()
    env.from_string(text, name="t").render(customer={"city": None})
    assert bool(warnings(text)) == bool(env.holes)


def test_what_a_turn_of_a_loop_sets_reaches_later_turns() -> None:
    text = (
        "{% assign a = 1 %}{% assign b = 1 %}{% assign c = 1 %}"
        "{% for p in recommendations %}\n{{ a }}"
        "{% assign a = b %}{% assign b = c %}{% assign c = customer.city %}{% endfor %}"
    )
    assert warnings(text) == [("a", 2)]


def test_loops_in_loops_are_looked_at_in_no_time() -> None:
    depth = LOOPS
    text = "{% for p in recommendations %}{% assign a = b %}{% assign b = customer.city %}" * depth
    text = "{% assign b = 1 %}" + text + "{{ a }}" + "{% endfor %}" * depth
    started = time.perf_counter()
    assert warnings(text)
    assert time.perf_counter() - started < 2


def test_only_the_key_of_golden_profiles_is_never_empty() -> None:
    path = Settings().sql_models / "profiles" / "golden_profiles.sql"
    columns = read_sql_model(path).contract.columns
    assert {c.name for c in columns if not c.nullable} == NEVER_EMPTY


@pytest.mark.parametrize("name", sorted(KEEP_NIL))
def test_filters_of_which_nil_is_said_to_come_out_give_nil(name: str) -> None:
    text = f"{{% assign c = customer.city | {name} %}}{{% if c %}}text{{% endif %}}"
    assert environment().from_string(text, name="t").render(customer={"city": None}) == ""


# --- what the check promises, tried on mails -----------------------------------------------------

PATHS = {
    "customer.city": (None, "", "Cork"),
    "customer.country": (None, "IE"),
    "customer.orders": (None, 0, 3),
    "customer.stated_categories": (None, [], ["a", "b"]),
}
SHOWN = [*PATHS, "customer.stated_categories.first", "customer.stated_categories.size", "alias"]
CONDITIONS = st.recursive(
    st.sampled_from(
        [
            *PATHS,
            "alias",
            *(
                f"{p} {s} {v}"
                for p in PATHS
                for s in ("==", "!=")
                for v in ("nil", "blank", "empty")
            ),
            *(f"customer.city {s} '{v}'" for s in ("==", "!=") for v in ("", "Cork")),
            *(
                f"customer.orders {s} {v}"
                for s in ("<", "<=", ">", ">=", "==", "!=")
                for v in (0, 2)
            ),
            *(
                f"customer.stated_categories.size {s} {v}"
                for s in ("<", "<=", ">", ">=", "==", "!=")
                for v in (0, 1)
            ),
            "customer.city contains 'o'",
            "customer.city == customer.country",
            "alias == nil",
            "alias != 'Cork'",
        ]
    ),
    lambda inner: st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=4,
)
ASSIGNS = [*PATHS, "'x'", "nil", "customer.city | truncate: 3", "customer.country | default: 'y'"]


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def built(*words: str) -> st.SearchStrategy[str]:
        parts = [CONDITIONS if w == "?" else inner if w == "_" else st.just(w) for w in words]
        return st.tuples(*parts).map("".join)

    return st.one_of(
        built("{% if ", "?", " %}", "_", "{% else %}", "_", "{% endif %}"),
        built("{% if ", "?", " %}", "_", "{% elsif ", "?", " %}", "_", "{% endif %}", "_"),
        built("{% unless ", "?", " %}", "_", "{% else %}", "_", "{% endunless %}"),
        built("{% if ", "?", " %}{% abort_message 'x' %}{% endif %}", "_"),
        built("{% case customer.city %}{% when 'Cork' %}", "_", "{% else %}", "_", "{% endcase %}"),
        built("{% case customer.city %}{% when nil %}", "_", "{% else %}", "_", "{% endcase %}"),
        built("{% for x in customer.stated_categories %}", "_", "{% endfor %}", "_"),
        built("_", "_"),
    )


def guarded(path: str) -> st.SearchStrategy[str]:
    """A value printed under some condition on itself, which may be a guard or not."""
    other = "0" if path == "customer.orders" else "'Cork'"
    signs = ["", " == nil", " != nil", " != blank", " != empty", f" == {other}", f" != {other}"]
    signs += [" > 0", " <= 2"] if path == "customer.orders" else []
    signs += [".size > 0", ".size != 0", ".size < 1"] if "categories" in path else []
    shown = f"{{{{ {path} }}}}"
    return st.builds(
        "{{% {} {}{} {} {} %}}{}{{% else %}}{}{{% end{} %}}".format,
        tag := st.shared(st.sampled_from(["if", "unless"]), key=path),
        st.just(path),
        st.sampled_from(signs),
        st.sampled_from(["and", "or"]),
        CONDITIONS,
        st.just(shown),
        st.sampled_from(["", "", shown]),
        tag,
    )


TEMPLATES = st.recursive(
    st.one_of(
        st.sampled_from([f"{{{{ {path} }}}}" for path in SHOWN]),
        st.sampled_from([f"{{% assign alias = {value} %}}" for value in ASSIGNS]),
        *(guarded(path) for path in (*PATHS, "alias")),
    ),
    blocks,
    max_leaves=4,
)
PEOPLE: list[dict[str, Any]] = [
    {name.partition(".")[2]: value for name, value in zip(PATHS, values, strict=True)}
    for values in product(*PATHS.values())
]


@settings(max_examples=300, deadline=None)
@given(TEMPLATES)
def test_a_template_without_a_warning_never_leaves_a_hole(text: str) -> None:
    text = "{% assign alias = customer.country %}" + text
    env = environment()
    if warnings(text, env):
        return
    template = env.from_string(text, name="t")
    for person in PEOPLE:
        env.holes = 0
        try:
            template.render(customer=person)
        except (AbortMail, LiquidTypeError):  # no mail: nothing was printed
            continue
        assert env.holes == 0, person
