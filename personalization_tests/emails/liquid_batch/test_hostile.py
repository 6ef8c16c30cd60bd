"""Templates written to break out, or to take all time and memory."""

import multiprocessing
import re
import resource
import time
from collections.abc import Mapping
from datetime import datetime
from multiprocessing.connection import Connection

import pytest
from liquid.exceptions import LiquidError

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.liquid_batch import BatchEnvironment, Limits
from personalization_tests.emails.liquid_batch.fuzz import Case, disagreement

ROWS = [
    {"s": "abc", "x": {}, "list": [1, 2, 3], "class": "c", "lambda": {"None": 1}, "d": "2026-03-01"}
]
TIGHT = Limits(loop_turns=10_000, local_bytes=100_000, output_bytes=200_000, depth=20)
MEMORY, SECONDS = 2 << 30, 60
"""What all greedy templates together may take; one of them without limits takes more."""


def nested(tag: str, end: str, depth: int) -> str:
    return tag * depth + "x" + end * depth


GREEDY = {
    "loops in loops": nested("{% for a in (1..300) %}", "{% endfor %}", 3),
    "loops after loops": "{% for a in (1..9000) %}.{% endfor %}" * 15,
    "loops through a partial": "{% for a in (1..300) %}{% render 'many' %}{% endfor %}",
    "a loop in tablerow": "{% tablerow a in (1..300) %}{% render 'many' %}{% endtablerow %}",
    "a range of a milliard": "{% for i in (1..1000000000) %}{% break %}{% endfor %}ok",
    "a range beyond counting": "{% for i in (1..99999999999999999999) %}{% endfor %}",
    "text doubled": "{% assign s = 'x' %}{% for i in (1..40) %}{% assign s = s | append: s %}"
    "{% endfor %}{{ s | size }}",
    "capture doubled": "{% for i in (1..40) %}{% capture s %}{{ s }}{{ s }}{% endcapture %}"
    "{% endfor %}{{ s | size }}",
    "list doubled": "{% for i in (1..40) %}{% assign list = list | concat: list %}{% endfor %}",
    "number squared": "{% assign n = 9 %}{% for i in (1..40) %}{% assign n = n | times: n %}"
    "{% endfor %}{{ n | modulo: 7 }}",
    "number too long to print": "{% assign n = 9 %}{% for i in (1..14) %}"
    "{% assign n = n | times: n %}{% endfor %}{{ n }}",
    "split to letters": "{% for i in (1..20) %}{% assign s = s | append: s %}{% endfor %}"
    "{% assign b = s | split: '' %}{{ b | size }}",
    "a wide date": "{{ d | date: '%50000000Y' | size }}",
    "a long number": "{{ '1e999999999' | round }}{{ '1e999999999' | money }}",
    "zeros without end": "{{ 1.5 | round: 999999999 }}",
    "output in pieces": "{% for a in (1..9000) %}{{ a }}{{ 'some longer words' }}{% endfor %}",
    "deep ifs": nested("{% if true %}", "{% endif %}", 60),
    "deep loops": nested("{% for a in (1..1) %}", "{% endfor %}", 28),
    "deep captures": nested("{% capture a %}", "{% endcapture %}", 28),
    "a partial in itself": "{% render 'itself' %}",
    "a partial in itself by two": "{% include 'two' %}",
    "many ands": "{% if " + " and ".join(["s"] * 3_000) + " %}x{% endif %}",
    "many filters": "{{ s" + " | append: 'x'" * 3_000 + " }}",
    "many elsifs": "{% if x == 1 %}" + "{% elsif s == 'q' %}a" * 1_500 + "{% endif %}",
    "a long path": "{{ x" + ".y" * 5_000 + " }}",
}
PARTIALS = {
    "many": "{% for b in (1..300) %}x{% endfor %}",
    "itself": "{% render 'itself' %}",
    "two": "{% include 'three' %}",
    "three": "{% include 'two' %}",
}


def _try_all(out: Connection, templates: Mapping[str, str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for name, template in templates.items():
        out.send((name, "did not end"))
        started = time.process_time()
        for html in (False, True):
            case = Case(template, PARTIALS, ROWS * 2, typed=False, html=html, limits=TIGHT)
            try:
                trouble = disagreement(case)
            except LiquidError:
                trouble = None
            if trouble is None and time.process_time() - started > 6:
                trouble = "took more than 6 seconds"
            out.send((name, trouble))
    out.send(None)


def test_greedy_templates_end_as_in_python_liquid_within_bounded_time_and_memory() -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_try_all, args=(theirs, GREEDY))
    process.start()
    theirs.close()
    found: dict[str, str | None] = {}
    try:
        while (told := ours.recv()) is not None:
            found[told[0]] = told[1]
    except EOFError:
        pass  # the process was stopped: the last name says on which template
    process.join()
    assert {name: trouble for name, trouble in found.items() if trouble} == {}
    assert set(found) == set(GREEDY)


PRYING = (
    "{{ s.__class__ }}|{{ s.__class__.__mro__[1].__subclasses__ }}",
    "{{ x['__globals__'] }}{{ x.__dict__ }}{{ list.append }}{{ s.upper }}{{ s.format }}",
    "{{ forloop.__class__ }}{% for a in list %}{{ forloop.__init__ }}{{ forloop.it }}{% endfor %}",
    "{{ s | append: '\"; import os; os.abort() #' }}",
    '{{ s | append: "\'; raise SystemExit #" }}',
    "{% assign a = '\\'\\n\\\\\"\"\"' %}{{ a }}",
    "'\"\"\"\n\\\nraise SystemExit\n{{ s }}{{ '\n' }}\\x41\u2028\x85\x0c",
    "{% if s == '\"; import os' %}x{% endif %}{% case s %}{% when '\n#' %}y{% endcase %}",
    "{{ class }}{{ lambda.None }}{{ import }}{{ def }}{{ print }}{{ exec }}{{ __builtins__ }}",
    "{% assign None = 1 %}{% assign class = s %}{{ None }}{{ class }}",
    "{% for lambda in list %}{{ lambda }}{% for def in list %}{{ def }}{% endfor %}{% endfor %}",
    "{% assign a = 1 %}{% assign row = 2 %}{% assign pieces = 3 %}{% assign holes = 4 %}"
    "{% assign emit = 5 %}{% assign text = 6 %}{% assign join = 7 %}{% assign v0 = 8 %}"
    "{{ a }}{{ row }}{{ pieces }}{{ holes }}{{ emit }}{{ text }}{{ join }}{{ v0 }}{{ k1 }}",
    "{{ s | default: 1, allow_false: true }}{{ s | default: class, __class__: 1 }}",
    "{{ s | default: 'a', environment: 1 }}{{ s | join: ',', context: x }}",
    "{{ s | __class__ }}",
    "{% render 'echo', class: 1, lambda: 2, __builtins__: 3, env: 4 %}",
    "{% increment __class__ %}{% cycle '__class__': '\n', '\"' %}",
    "{% capture exec %}1{% endcapture %}{{ exec }}",
    "{{ ['__class__'] }}{{ x[s] }}{{ x['\"]; import os'] }}{{ lambda['None'] }}",
    "é{{ 'ü' }}{{ s | append: '\ud83d' }}{{ '\x00' }}",
    "{% abort_message '\"; import os' %}",
)


@pytest.mark.parametrize("place", range(len(PRYING)))
def test_prying_templates_come_out_as_in_python_liquid(place: int) -> None:
    partials = {"echo": "{{ class }}{{ lambda }}{{ __builtins__ }}{{ env }}"}
    for html in (False, True):
        case = Case(PRYING[place], partials, ROWS, typed=False, html=html)
        try:
            assert disagreement(case) is None
        except LiquidError:
            return  # it is not even Liquid


WORDY = """
{%- comment %}secretword{% endcomment -%}
secretword {{ secretword.name | append: 'secretword' | default: secretword }}
{% for p in secretword limit: 3 %}{{ p.secretword }}{{ secretword }}{{ forloop.index }}
{% if p.secretword == "secretword" and p.price > 1 %}secretword{% endif %}{% endfor %}
{% assign secretword = secretword | upcase %}{{ secretword }}
{% capture secretwords %}secretword{{ 1 }}{% endcapture %}{{ secretwords }}
{% case secretword %}{% when 'secretword', "secretword'" %}secretword{% else %}x{% endcase %}
{% cycle 'secretword': 'secretword', secretword %}{% increment secretwords %}
{% render 'secretword', secretword: secretword, b: 'secretword' %}
{% tablerow secretword in secretword.secretword cols: 2 %}{{ secretword }}{% endtablerow %}
{{ secretword.secretword["secretword"][secretword] | secretword }}
{% if secretword %}{% abort_message 'secretword' %}{% endif %}
"""


def source(word: str) -> str:
    env = BatchEnvironment(
        now=datetime(2026, 1, 1),
        partials={word: f"{word} {{{{ {word} }}}}"},
        extra_filters={word: str},
    )
    template = env.from_string(WORDY.replace("secretword", word), name=f"{word} mail")
    compiled = liquid_batch.compile(template, constants={"p": {word: word}})
    assert compiled.report.compiled, compiled.report
    return compiled.source


def test_no_word_of_a_template_is_in_the_code_made_of_it() -> None:
    made = source("secretword")
    assert "secret" not in made.lower()
    assert not re.search(r"['\"]{3}|import|eval|exec|\\", made)


def test_other_words_give_the_same_code() -> None:
    # Whatever stands in a template's literals and names: code is only made of its structure.
    assert source("secretword") == source("__import__os") == source("émile")
