"""Every rule of `personalize campaign check`: what breaks it, and what does not."""

from pathlib import Path

import pytest

from personalization_assets.emails.checking.rules import RULES
from personalization_assets.emails.liquid_env import LOOPS
from personalization_tests.emails.checked import (
    FILES,
    FRAGMENT,
    MJ_LINE,
    YAML,
    findings,
    in_body,
    in_html,
    places,
)

PNG = '<img src="https://cdn.example.com/a.png" alt="A cup" width="80" />'


BREAKS: list[tuple[str, dict[str, str], str, int]] = [
    # code, files, file, line
    ("campaign_file", {"campaign.yaml": YAML + "holdout: 7\n"}, "campaign.yaml", 4),
    (
        "campaign_file",
        {"campaign.yaml": YAML + "utm:\n  source: x\n  medum: y\n"},
        "campaign.yaml",
        6,
    ),
    ("campaign_file", {"campaign.yaml": YAML + "a: [\n"}, "campaign.yaml", 5),
    (
        "campaign_file",
        {"campaign.yaml": YAML + "variants:\n- {name: a, share: 1, text: t.liquid}\n"},
        "campaign.yaml",
        5,
    ),
    ("campaign_file", {"campaign.yaml": YAML + "allow: [image_al]\n"}, "campaign.yaml", 4),
    ("campaign_file", {"campaign.yaml": YAML + "allow: [link_empty]\n"}, "campaign.yaml", 4),
    ("include_unknown", in_body('\n<mj-include path="x.mjml" />'), "body.mjml", FRAGMENT + 1),
    ("include_form", in_body("\n<mj-include path=x.mjml />"), "body.mjml", FRAGMENT + 1),
    ("foreign_syntax", {"subject.liquid": "\n{{#if x}}"}, "subject.liquid", 2),
    ("liquid_syntax", {"subject.liquid": "a\n{% if mail.year %}b"}, "subject.liquid", 2),
    (
        "liquid_syntax",
        {"subject.liquid": "\n\n{% iff mail.year %}{% endif %}"},
        "subject.liquid",
        3,
    ),
    (
        "part_unknown",
        {"text.liquid": "{{ links.unsubscribe }}\n{% render 'x' %}"},
        "text.liquid",
        2,
    ),
    (
        "part_circle",
        {
            "text.liquid": "{{ links.unsubscribe }}{% render 'r' %}",
            "../_blocks/r.liquid": "a\n{% render 'r' %}",
        },
        "r.liquid",
        2,
    ),
    ("variable_unknown", in_body("a\n{{ customer.citty }}"), "body.mjml", FRAGMENT + 1),
    ("variable_unknown", {"subject.liquid": "a {{ x }}"}, "subject.liquid", 1),
    ("variable_computed", {"subject.liquid": "a{{ links[mail.variant] }}"}, "subject.liquid", 1),
    ("filter_unknown", {"subject.liquid": "\n{{ mail.year | upper }}"}, "subject.liquid", 2),
    (
        "not_a_list",
        {"subject.liquid": "a\n{% for x in mail.variant %}{% endfor %}"},
        "subject.liquid",
        2,
    ),
    (
        "filter_values",
        {"subject.liquid": "a\n{{ mail.variant | replace }}"},
        "subject.liquid",
        2,
    ),
    (
        "filter_values",
        {"subject.liquid": "a\n{{ mail.variant | upcase: 1, 2 }}"},
        "subject.liquid",
        2,
    ),
    ("filter_type", {"subject.liquid": "a\n{{ mail.year | date: '%Y' }}"}, "subject.liquid", 2),
    (
        "filter_type",
        {"subject.liquid": "a\n{{ mail.variant | money }}{{ mail.year }}"},
        "subject.liquid",
        2,
    ),
    (
        "compare_order",
        {"subject.liquid": "a\n{% if mail.year > '2026' %}b{% endif %}"},
        "subject.liquid",
        2,
    ),
    (
        "compare_order",
        {"subject.liquid": "a\n{% if customer.last_order_at > '2026-01-01' %}b{% endif %}"},
        "subject.liquid",
        2,
    ),
    (
        "compare_same",
        {"subject.liquid": "a\n{% if mail.personalised == 'true' %}b{% endif %}"},
        "subject.liquid",
        2,
    ),
    (
        "loops_deep",
        {
            "text.liquid": "{{ links.unsubscribe }}\n"
            + "".join(f"{{% for a{i} in cart.items %}}" for i in range(LOOPS + 1))
            + "{% endfor %}" * (LOOPS + 1)
        },
        "text.liquid",
        2,
    ),
    ("nullable_printed", in_body("\n\n{{ customer.city }}"), "body.mjml", FRAGMENT + 2),
    ("mjml_invalid", {"body.mjml": "<mjml>\n<mj-body>\n<mj-section>\n</mj-body>"}, "body.mjml", 3),
    (
        "liquid_across_elements",
        {
            "body.mjml": FILES["body.mjml"]
            .replace("<mj-section>", '<mj-section background-color="{% if mail.year %}red">')
            .replace("Hello", "Hello{% endif %}")
        },
        "body.mjml",
        5,
    ),
    (
        "html_lang",
        {"body.mjml": "\n" + FILES["body.mjml"].replace(' lang="en"', "")},
        "body.mjml",
        2,
    ),
    (
        "html_unbalanced",
        in_body("<table>\n{% if mail.personalised %}<tr>{% endif %}<td></td></tr></table>"),
        "body.mjml",
        FRAGMENT + 1,
    ),
    (
        "html_unbalanced",
        in_body("{% for p in recommendations %}\n<div>{% endfor %}</div>"),
        "body.mjml",
        FRAGMENT + 1,
    ),
    ("html_active", in_body("<b\nonclick='x'>a</b>"), "body.mjml", FRAGMENT),
    (
        "html_active",
        in_body("\n<iframe src='https://x.example'></iframe>"),
        "body.mjml",
        FRAGMENT + 1,
    ),
    ("html_form", in_body("\n<input name='q' />"), "body.mjml", FRAGMENT + 1),
    (
        "external_css",
        {
            "body.mjml": FILES["body.mjml"]
            .replace(
                "<mj-head>",
                '<mj-head>\n<mj-font name="Foo" href="https://fonts.example.com/f.css" />',
            )
            .replace("<mj-text>", '<mj-text font-family="Foo">')
        },
        "body.mjml",
        3,
    ),
    ("link_empty", in_body('\n<a href="#">a</a>'), "body.mjml", FRAGMENT + 1),
    ("link_scheme", in_body('<a href="//shop.example.com/x">a</a>'), "body.mjml", FRAGMENT),
    ("link_script", in_body('<a href="javascript:go()">a</a>'), "body.mjml", FRAGMENT),
    ("link_http", in_body('\n\n<a href="http://x.example.com">a</a>'), "body.mjml", FRAGMENT + 2),
    ("link_untagged", in_body('<a href="https://shop.example.com/a">a</a>'), "body.mjml", FRAGMENT),
    ("link_untagged", in_body('<a href="{{ brand.site_url }}">a</a>'), "body.mjml", FRAGMENT),
    ("image_source", in_body('<img src="a.png" alt="" width="1" />'), "body.mjml", FRAGMENT),
    (
        "image_http",
        in_body('<img src="http://x.example.com/a.png" alt="" width="1" />'),
        "body.mjml",
        FRAGMENT,
    ),
    ("image_alt", in_body("\n" + PNG.replace(' alt="A cup"', "")), "body.mjml", FRAGMENT + 1),
    ("image_width", in_body("\n" + PNG.replace(' width="80"', "")), "body.mjml", FRAGMENT + 1),
    (
        "unsubscribe_missing",
        {"body.mjml": FILES["body.mjml"].replace("links.unsubscribe", "links.home")},
        "body.mjml",
        1,
    ),
    (
        "unsubscribe_conditional",
        {
            "body.mjml": FILES["body.mjml"]
            .replace("<mj-text>", "<mj-text>{% if mail.personalised %}")
            .replace("Unsubscribe</a>", "Unsubscribe</a>{% endif %}")
        },
        "body.mjml",
        8,
    ),
    ("text_unsubscribe", {"text.liquid": "a"}, "text.liquid", 1),
    (
        "text_unsubscribe",
        {"text.liquid": "a{% unless mail.personalised %}{{ links.unsubscribe }}{% endunless %}"},
        "text.liquid",
        1,
    ),
    ("text_empty", {"text.liquid": " \n"}, "text.liquid", 1),
    (
        "address_missing",
        {"body.mjml": FILES["body.mjml"].replace("{{ brand.postal_address }}", "")},
        "body.mjml",
        1,
    ),
    (
        "address_conditional",
        {
            "body.mjml": FILES["body.mjml"].replace(
                "{{ brand.postal_address }}",
                "{% for p in recommendations %}{{ brand.postal_address }}{% endfor %}",
            )
        },
        "body.mjml",
        9,
    ),
    ("subject_empty", {"subject.liquid": "{% assign x = 1 %} \n"}, "subject.liquid", 1),
    (
        "subject_may_be_empty",
        {"subject.liquid": "{% if mail.personalised %}a{% endif %}"},
        "subject.liquid",
        1,
    ),
    (
        "subject_long",
        {"subject.liquid": f"{'a ' * 70}{{% if mail.personalised %}}{'b ' * 70}{{% endif %}}"},
        "subject.liquid",
        1,
    ),
    (
        "subject_capitals",
        {"subject.liquid": "{% if mail.year %}a{% endif %}\nBUY IT NOW"},
        "subject.liquid",
        1,
    ),
    ("subject_exclamation", {"subject.liquid": "a! b!"}, "subject.liquid", 1),
    ("preheader_missing", {"preheader.liquid": "\n"}, "preheader.liquid", 1),
    (
        "preheader_missing",
        {"body.mjml": FILES["body.mjml"].replace("mail.preheader", "mail.subject")},
        "body.mjml",
        1,
    ),
    ("size_clip", in_body(f"<div>{'x' * 99_000}</div>" * 2), "body.mjml", 1),
    ("size_near_clip", in_body("x" * 90_000), "body.mjml", 1),
    (
        "size_clip",
        in_body(f"{{% for p in recommendations %}}{'x' * 20_000}{{% endfor %}}"),
        "body.mjml",
        1,
    ),
]
BREAKS += [
    ("mjml_unknown", {"body.mjml": MJ_LINE % "<mj-buton>a</mj-buton>"}, "body.mjml", 5),
    ("button_link", {"body.mjml": MJ_LINE % "\n<mj-button>a</mj-button>"}, "body.mjml", 6),
    (
        "liquid_lost",
        {"body.mjml": MJ_LINE % '\n<mj-spacer colour="{% if mail.year %}red{% endif %}" />'},
        "body.mjml",
        6,
    ),
    (
        "link_scheme",
        {"body.mjml": MJ_LINE % '\n<mj-button href="a.example">a</mj-button>'},
        "body.mjml",
        6,
    ),
    (
        "image_alt",
        {"body.mjml": MJ_LINE % '\n\n<mj-image src="https://x.example/a.png" />'},
        "body.mjml",
        7,
    ),
]


@pytest.mark.parametrize(("code", "files", "file", "line"), BREAKS)
def test_what_breaks_a_rule_is_found_at_its_line(
    tmp_path: Path, code: str, files: dict[str, str], file: str, line: int
) -> None:
    found = findings(tmp_path, files)
    assert (code, file, line) in places(found), [f.sentence for f in found]
    for finding in found:
        assert finding.severity == RULES[finding.code].severity
        assert "$" not in finding.says
        assert "\n" not in finding.says
        assert ".." not in finding.says.replace("...", "")


def test_every_rule_is_broken_by_an_example() -> None:
    tested_elsewhere = {"file_encoding", "include_circle"}
    assert {code for code, *_ in BREAKS} | tested_elsewhere == set(RULES)


@pytest.mark.parametrize(
    "files",
    [
        {},
        in_body('<a href="mailto:a@x.example">a</a><a href="tel:+35312">b</a><a href="#x">c</a>'),
        in_body('<a href="{{ links.home }}">a</a><a href="https://elsewhere.example/">b</a>'),
        in_body("<a href=\"{{ 'https://shop.example.com/a' | utm: 'top' }}\">a</a>"),
        in_body('<a href="https://shop.example.com/{{ mail.variant }}?utm_source=x">a</a>'),
        in_body(PNG),
        in_body(PNG.replace("A cup", "")),
        in_body(PNG.replace(' width="80"', ' style="border:0;width:80px"')),
        in_body(
            "{% for p in recommendations %}"
            '<img src="{{ p.tile }}" alt="{{ p.name }}" width="9" />{% endfor %}'
        ),
        # a grid that opens a row at every other product
        in_body(
            "<table>{% for p in recommendations %}{% assign side = forloop.index | modulo: 2 %}"
            "{% if side == 1 %}<tr>{% endif %}<td>a</td>"
            "{% if side == 0 or forloop.last %}</tr>{% endif %}{% endfor %}</table>"
        ),
        in_html("{% if mail.personalised %}<div class='a'>{% else %}<div>{% endif %}a</div>"),
        in_body("{% case mail.variant %}{% when 'a' %}<b>a</b>{% else %}<i>b</i>{% endcase %}"),
        in_html('<a {% if mail.personalised %}href="{{ links.home }}"{% endif %}>a</a>'),
        in_html("{% comment %}<div><form><a href='#'>{% endcomment %}a"),
        in_html("<p>one<p>two<br>three<ul><li>a<li>b</ul>"),
        {"body.mjml": MJ_LINE % '<mj-image src="https://x.example/a.png" alt="" />'},
        {
            "body.mjml": FILES["body.mjml"]
            .replace(
                "<mj-text>",
                "<mj-text>{% if mail.personalised %}<a href='{{ links.unsubscribe }}'>b</a>"
                "{% else %}",
            )
            .replace("Unsubscribe</a>", "Unsubscribe</a>{% endif %}")
        },
        {
            "body.mjml": FILES["body.mjml"].replace(
                "{{ brand.postal_address }}", "12 Harbour Row, Galway, H91 AB12, Ireland"
            )
        },
        {
            "body.mjml": FILES["body.mjml"]
            .replace("<mj-text>", "<mj-text>{% assign out = links.unsubscribe %}")
            .replace("{{ links.unsubscribe }}", "{{ out }}")
        },
        {
            "text.liquid": "a {% render 'foot' %}",
            "../_blocks/foot.liquid": "{{ links.unsubscribe }}",
        },
        {
            "text.liquid": "{% if mail.year %}{% abort_message 'x' %}{% endif %}"
            "{{ links.unsubscribe }}"
        },
        {"text.liquid": "See https://shop.example.com/unsubscribe"},
        {"subject.liquid": "{% if mail.personalised %}For you{% else %}News!{% endif %}"},
        {"subject.liquid": "{% if mail.year %}{% abort_message 'x' %}{% endif %}USB cables"},
        {"subject.liquid": "{{ mail.year }}"},
        {"subject.liquid": "{{ mail.year | plus: 1 | divided_by: 2.5 | number: 1 }}"},
        {"subject.liquid": "{{ 'now' | date: '%Y' }}{{ mail.variant | replace: 'a', 'b' }}"},
        {"subject.liquid": "{{ mail.variant | default: 'x', allow_false: true }}"},
        {"subject.liquid": "a{% if mail.year > 2025.5 and mail.variant == 'a' %}b{% endif %}"},
        {"subject.liquid": "a{% if customer.orders != blank and mail.personalised %}b{% endif %}"},
        {
            "text.liquid": "{{ links.unsubscribe }}"
            + "".join(f"{{% for a{i} in cart.items %}}" for i in range(LOOPS))
            + "{% endfor %}" * LOOPS
        },
        {
            "campaign.yaml": YAML + "kind: transactional\n",
            "text.liquid": "Your order",
            "body.mjml": FILES["body.mjml"]
            .replace("links.unsubscribe", "links.home")
            .replace("{{ brand.postal_address }}", ""),
        },
        {
            "campaign.yaml": YAML + "allow: [image_alt, link_http]\n",
            **in_body(PNG.replace(' alt="A cup"', "") + '<a href="http://x.example.com">a</a>'),
        },
        in_html("<table><tr><td>a</td></tr></table>"),
    ],
)
def test_what_is_right_is_not_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert [f.sentence for f in findings(tmp_path, files)] == []
