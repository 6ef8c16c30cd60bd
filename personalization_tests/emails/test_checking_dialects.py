"""Templates of other tools are recognised, and the message says the same in Liquid."""

from pathlib import Path

import pytest

from personalization_assets.emails.checking.dialects import refuse_dialects
from personalization_assets.emails.checking.findings import Findings
from personalization_assets.emails.checking.names import Names
from personalization_assets.emails.checking.sources import Source
from personalization_assets.emails.mail_context import mail_contract
from personalization_tests.emails.checked import CUSTOMER, findings

NAMES = Names(mail_contract(CUSTOMER))


def refused(text: str) -> list[tuple[str, str, str]]:
    """Written, dialect and Liquid of everything that is refused."""
    found = Findings()
    lines = tuple((Path("t"), n + 1) for n in range(text.count("\n") + 1))
    refuse_dialects(Source("t", text, lines), NAMES, found)
    out = []
    for finding in found.errors:
        written, _, dialect = finding.message[1:].rpartition("' is ")
        liquid = finding.hint.removeprefix("in Liquid write '").removesuffix("'")
        out.append((written, dialect, liquid))
    return out


@pytest.mark.parametrize(
    ("text", "dialect", "liquid"),
    [
        ("{{#if customer.isVIP}}", "Handlebars", "{% if customer.is_vip %}"),
        ("{{#if isVip}}", "Handlebars", "{% if customer.is_vip %}"),
        ("{{#if user.loyaltyTier}}", "Handlebars", "{% if customer.loyalty_tier %}"),
        ("{{~#if contact.loyalty-points~}}", "Handlebars", "{% if customer.loyalty_points %}"),
        (
            '{{#if (eq customer.loyaltyTier "gold")}}',
            "Handlebars",
            '{% if customer.loyalty_tier == "gold" %}',
        ),
        (
            "{{#if (and isVip customer.city)}}",
            "Handlebars",
            "{% if customer.is_vip and customer.city %}",
        ),
        ("{{#unless mail.personalised}}", "Handlebars", "{% unless mail.personalised %}"),
        ("{{#each cart.items}}", "Handlebars", "{% for item in cart.items %}"),
        ("{{#each Recommendations as |p|}}", "Handlebars", "{% for item in recommendations %}"),
        ("{{#with cart}}", "Handlebars", "{% assign item = cart %}"),
        ("{{/if}}", "Handlebars", "{% endif %}"),
        ("{{/each}}", "Handlebars", "{% endfor %}"),
        ("{{else}}", "Handlebars", "{% else %}"),
        ("{{else if customer.isVIP}}", "Handlebars", "{% elsif customer.is_vip %}"),
        ("{{> footer}}", "Handlebars", "{% render 'footer' %}"),
        ("{{{customer.firstName}}}", "Handlebars", "{{ customer.first_name }}"),
        ("{{this.name}}", "Handlebars", "{{ item.name }}"),
        ("{{../city}}", "Handlebars", "{{ customer.city }}"),
        ("{{@index}}", "Handlebars", "{{ forloop.index0 }}"),
        ("{{#cart.items}}", "Handlebars", "{% for item in cart.items %}"),
        ("{{#customer.isVIP}}", "Handlebars", "{% if customer.is_vip %}"),
        ("{{^customer.city}}", "Mustache", "{% unless customer.city %}"),
        ("{{&customer.city}}", "Mustache", "{{ customer.city }}"),
        ("{{! a note }}", "Mustache", "{% comment %}...{% endcomment %}"),
        ("*|FNAME|*", "Mailchimp", "{{ customer.first_name }}"),
        ("*|UNSUB|*", "Mailchimp", "{{ links.unsubscribe }}"),
        ("*|LIST:ADDRESS|*", "Mailchimp", "{{ brand.postal_address }}"),
        ("*|IF:CITY|*", "Mailchimp", "{% if customer.city %}"),
        ("*|IFNOT:CITY|*", "Mailchimp", "{% unless customer.city %}"),
        ("*|ELSE:|*", "Mailchimp", "{% else %}"),
        ("*|END:IF|*", "Mailchimp", "{% endif %}"),
        ("%%First_Name%%", "Salesforce", "{{ customer.first_name }}"),
        ("%%unsub_center_url%%", "Salesforce", "{{ links.unsubscribe }}"),
        ("%%=v(@firstName)=%%", "Salesforce", "{{ customer.first_name }}"),
        ("%%=ProperCase(City)=%%", "Salesforce", "{{ customer.city | capitalize }}"),
        ("%%[ SET @x = 1 ]%%", "Salesforce", "{% assign x = 1 %}"),
        ("%%[ IF @city == 'Cork' THEN ]%%", "Salesforce", "{% if customer.city == 'Cork' %}"),
        ("%%[ ENDIF ]%%", "Salesforce", "{% endif %}"),
        ("[[first_name]]", "a placeholder of another tool", "{{ customer.first_name }}"),
        ("{{${city}}}", "Braze", "{{ customer.city }}"),
        ("{{custom_attribute.${loyalty_tier}}}", "Braze", "{{ customer.loyalty_tier }}"),
        ("<%= user.city %>", "ERB", "{{ customer.city }}"),
        ("{% set x = 1 %}", "Jinja", "{% assign x = 1 %}"),
        ("{%- elif customer.is_vip -%}", "Jinja", "{% elsif customer.is_vip %}"),
        (
            "{{ user.city if user.city else 'your town' }}",
            "Jinja",
            "{% if customer.city %}{{ customer.city }}{% else %}{{ 'your town' }}{% endif %}",
        ),
        ("{{ customer.city.upper() }}", "Jinja", "{{ customer.city | upcase }}"),
        ("{{ name.upper() }}", "Jinja", "{{ name | upcase }}"),
        (
            '{{ customer.city.replace("a", "b") }}',
            "Jinja",
            '{{ customer.city | replace: "a", "b" }}',
        ),
        ("{% if customer.city is not none %}", "Jinja", "{% if customer.city != nil %}"),
        ("{% if customer.city is defined %}", "Jinja", "{% if customer.city != nil %}"),
        ("{% if customer.city is none %}", "Jinja", "{% if customer.city == nil %}"),
        ("{% if not customer.city %}", "Jinja", "{% unless customer.city %} ... {% endunless %}"),
        ("{% include 'footer.html' %}", "Jinja", "{% render 'footer.html' %}"),
        (
            "{{ customer.city ~ '!' }}".replace("'", '"'),
            "Jinja",
            '{{ customer.city | append: "!" }}',
        ),
        ("{# a note #}", "Jinja", "{% comment %}...{% endcomment %}"),
    ],
)
def test_a_construct_of_another_language_is_said_again_in_liquid(
    text: str, dialect: str, liquid: str
) -> None:
    assert refused(text) == [(text, dialect, liquid)]


def test_an_end_is_named_after_what_it_ends() -> None:
    text = "{{#cart.items}}a{{/cart.items}}{{^customer.city}}b{{/customer.city}}"
    assert [liquid for *_, liquid in refused(text)] == [
        "{% for item in cart.items %}",
        "{% endfor %}",
        "{% unless customer.city %}",
        "{% endunless %}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{ customer.city | default: 'a.b() if c else d' }} {{- customer.city -}}",
        "{% if customer.city == 'if x else y' %}{% elsif customer.orders > 1 %}{% endif %}",
        "{% liquid\n assign x = 1\n echo x %}",
        "{% case x %}{% when 1 or 2 %}{% else %}{% endcase %}",
        "<style>@media print{#foo{color:#fff}} [data-x] [href] *|a, *|* {} </style>",
        "50%% off, 100%, [[ not a placeholder ]], a ~ b, <!-- {if mso} -->",
        "{{ recommendations[0].name }} {{ customer['city'] }} {{ cart.items.first.name }}",
    ],
)
def test_liquid_and_css_are_not_taken_for_another_language(text: str) -> None:
    assert refused(text) == []


def test_everything_foreign_in_a_file_is_found_with_its_line_and_column(tmp_path: Path) -> None:
    text = "Hello *|FNAME|*,\n  {{#if customer.isVIP}}a{{else}}b{{/if}}\n"
    found = findings(tmp_path, {"text.liquid": text})
    assert [(f.code, f.line, f.column) for f in found] == [
        ("foreign_syntax", 1, 7),
        ("foreign_syntax", 2, 3),
        ("foreign_syntax", 2, 26),
        ("foreign_syntax", 2, 35),
    ]


def test_a_filter_of_another_language_is_named_in_liquid(tmp_path: Path) -> None:
    found = findings(tmp_path, {"subject.liquid": "{{ mail.variant | title }}"})
    assert [f.says for f in found] == ["there is no filter 'title', did you mean 'capitalize'?"]
