"""What a marketer reads about Liquid that can't be parsed: the place, and what to write."""

from pathlib import Path

import pytest

from personalization_tests.emails.checked import findings


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        # halves of blocks
        (
            "a\n{% if mail.year %}\n{% if mail.year %}b{% endif %}",
            2,
            1,
            "this {% if %} has no",
        ),
        (
            "{% if mail.year %}\n{% for p in viewed %}\n{% endif %}",
            2,
            1,
            "this {% for %} has no",
        ),
        ("a\n{% if mail.year %}b{% endif %}{% endif %}", 2, 31, "this {% endif %} closes nothing"),
        ("a\n{% comment %}b {% if %}", 2, 1, "this {% comment %} has no {% endcomment %}"),
        ("a\n{% case mail.variant %}{% when 'a' %}b", 2, 1, "this {% case %} has no {% endcase %}"),
        ("a\n  {% else %}b", 2, 6, "{% else %} stands outside of a {% if %}"),
        ("{% if mail.year %}a\n{% elseif mail.year %}b{% endif %}", 2, 4, "write 'elsif'"),
        ("{% if mail.year %}a\n{% end if %}", 2, 4, "no tag {% end %}, did you mean 'endif'"),
        (
            "{% if mail.year %}a\n{% else if mail.personalised %}b{% endif %}",
            2,
            1,
            "else takes no condition, write '{% elsif mail.personalised %}'",
        ),
        # braces
        ("a\n{{ mail.year }, {{ mail.variant }}", 2, 1, "'{{ mail.year }, {{ mail.variant }}' has"),
        ("a\n{{ mail.year }, {% if mail.year %}b{% endif %}", 2, 1, "the tag is not closed"),
        ("a\n{% if mail.year } it's {{ mail.year }} {% endif %}", 2, 1, "has no '%}'"),
        ("a\n b { mail.year }} c", 2, 4, "is printed as it stands, write '{{ mail.year }}'"),
        ("a\n{{{ mail.year }}", 2, 3, "there is a { too many"),
        # what word processors and web pages leave behind
        ("a\n{{ mail.year | append: “x” }}", 2, 24, "“ is no quotation mark of Liquid"),
        ("a\n{% if mail.variant == ‘x’ %}b{% endif %}", 2, 23, "‘ is no quotation mark of Liquid"),
        ("a\n{% if mail.year\u00a0> 3 %}b{% endif %}", 2, 16, "there is a non-breaking space here"),
        ("a\n{{ mail.\u200byear }}", 2, 9, "an invisible character (U+200B) here, delete it"),
        ("a\n{% if mail.year &gt; 3 %}b{% endif %}", 2, 17, "write > in place of &gt;"),
        # other languages' ways
        ("a\n{% if mail.year && mail.variant %}b{% endif %}", 2, 17, "write 'and' in place of &&"),
        ("a\n{% if mail.year || mail.variant %}b{% endif %}", 2, 17, "write 'or' in place of ||"),
        ("a\n{% if mail.variant = 'a' %}b{% endif %}", 2, 20, "write == to compare"),
        ("a\n{% if mail.year => 3 %}b{% endif %}", 2, 17, "write >= in place of =>"),
        ("a\n{% if (mail.year) or mail.variant %}b{% endif %}", 2, 7, "conditions have no parenth"),
        ("a\n{{ mail.variant | append('x') }}", 2, 25, "values stand after a colon"),
        ("a\n{{ mail.variant | append 'x' }}", 2, 26, "a ':' is missing after the name of the"),
        ("a\n{{ mail.variant | replace: 'x' 'y' }}", 2, 32, "a ',' is missing between the values"),
        ("a\n{% for p of viewed %}b{% endfor %}", 2, 10, "write {% for item in list %}"),
        ("a\n{{ mail.year * 2 }}", 2, 14, "Liquid has no *, use a filter"),
        ("a\n{{ mail.variant | default a }}", 2, 27, "expected end of expression, found a word"),
        # something is missing
        ("a\n{{ 'now' }} {{ mail.year | }}", 2, 13, "something is missing at the end"),
        (
            "a\n{% if mail.year == %}b{% endif %}",
            2,
            1,
            "something is missing at the end",
        ),
        ("a\n{{ mail.variant | append: 'x }}", 2, 27, "the quotation mark ' is not closed"),
        ("a\n{% if %}b{% endif %}", 2, 4, "the tag says nothing of what it is about"),
        ("a\n" + "{% if mail.year %}" * 60 + "{% endif %}" * 60, 2, None, "too many blocks lie in"),
    ],
)
def test_broken_liquid_is_told_in_plain_words_at_its_place(
    tmp_path: Path, text: str, line: int, column: int | None, says: str
) -> None:
    [finding] = [f for f in findings(tmp_path, {"subject.liquid": text}) if f.severity == "error"]
    assert (finding.code, finding.file.name, finding.line) == (
        "liquid_syntax",
        "subject.liquid",
        line,
    )
    assert says in finding.says
    assert column in (None, finding.column), finding.column
    assert "\n" not in finding.says


@pytest.mark.parametrize(
    "text",
    [
        "{{ '{{ not a tag' }}",
        "{% raw %}{{ {% else if %} { mail.year }{% endraw %}a",
        "{% comment %} { mail.year {% if %} {% endcomment %}a",
        "a { b } {mail} {c: 3}",
        "{%- if mail.year -%}a{%- else -%}b{%- endif -%}",
        "{{\u00a0mail.year\u00a0}}",
        "{{ mail.variant | default: 'it’s “you”' }}",
    ],
)
def test_what_only_looks_broken_is_left_alone(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, {"subject.liquid": text}) == ()
