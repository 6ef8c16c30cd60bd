"""Scenarios fit what real mails are made of, and find their way into each branch of a template."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from liquid.template import BoundTemplate

from personalization_assets.emails.brand import load_brand
from personalization_assets.emails.campaigns import load_campaign
from personalization_assets.emails.liquid_batch import AbortMail
from personalization_assets.emails.mail_context import WITHOUT_CONSENT
from personalization_assets.emails.preview.coverage import Coverage, coverage
from personalization_assets.emails.preview.mails import Studio
from personalization_assets.emails.render import PARTS
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import compile_variant
from personalization_assets.errors import UserError
from personalization_tests.emails.shop import PROJECT
from personalization_tests.emails.studios import AS_OF, CAMPAIGNS, contract, studio

BRAND = load_brand(PROJECT / "data" / "brand.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Campaigns to change, with a text part that has no branches."""
    shutil.copytree(PROJECT / "data" / "campaigns", tmp_path / "campaigns")
    for name in ("subject.liquid", "subject.news.liquid", "preheader.liquid", "text.liquid"):
        (tmp_path / "campaigns" / "win_back" / name).write_text("words", encoding="utf-8")
    about = tmp_path / "campaigns" / "win_back" / "campaign.yaml"
    about.write_text(about.read_text().replace("kind: promotional", "kind: transactional"))
    plain = "<mjml lang='en'><mj-body><mj-text>words</mj-text></mj-body></mjml>"
    (tmp_path / "campaigns" / "win_back" / "body.mjml").write_text(plain, encoding="utf-8")
    return tmp_path / "campaigns"


def open_studio(folder: Path) -> Studio:
    campaign = load_campaign(folder / "win_back")
    return Studio(campaign, BRAND, contract(), EmailsSettings(), AS_OF, "friendly")


def report(folder: Path) -> Coverage:
    made = open_studio(folder)
    return coverage(made.traced, made.found)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_every_scenario_is_a_context_that_a_real_mail_could_have(campaign: str) -> None:
    made = studio(campaign)
    for scenario in made.found.scenarios:
        context = scenario.context
        for root, kind in made.contract.items():
            if root in context:
                # raises where a value does not fit its type
                assert pa.array([context[root]], kind).null_count == 0, scenario.key
        assert made.maker.settle(copy.deepcopy(context)) == context, scenario.key
        assert context["cart"]["size"] == len(context["cart"]["items"])
        if not context["mail"]["personalised"]:
            known = {name for name, value in context["customer"].items() if value is not None}
            assert known <= WITHOUT_CONSENT, scenario.key
            assert context["cart"]["items"] == context["viewed"] == []
    keys = [scenario.key for scenario in made.found.scenarios]
    assert len(set(keys)) == len(keys)
    assert keys[0] == "typical"
    assert {"nobody", "no_consent", "right_to_left", "markup", "no_recommendations"} < set(keys)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_no_scenario_fails_and_none_brings_its_own_markup_into_the_html(campaign: str) -> None:
    made = studio(campaign)
    for mail in made.mails(made.found.scenarios):
        assert mail.row["status"] in ("rendered", "aborted"), (mail.key, mail.row["reason"])
        if mail.row["status"] == "rendered":
            assert "<script" not in mail.row["html"], mail.key
            assert "<b>Maya" not in mail.row["html"], mail.key
            assert "None" not in mail.row["html"] + mail.row["text"] + mail.row["subject"]
            assert "\n" not in mail.row["subject"]


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_templates_with_markers_render_what_they_render_without(campaign: str) -> None:
    made = studio(campaign)
    for traced, templates in zip(made.traced, made.templates, strict=True):
        again = compile_variant(
            templates.campaign, templates.variant, BRAND, contract(), EmailsSettings(), AS_OF
        )
        constants = made.constants(templates)
        for scenario in made.found.scenarios:
            whole = {**constants, **scenario.context}
            for part in PARTS:
                expected = outcome(again.parsed[part], whole)
                assert outcome(traced.parts[part], whole) == expected, (scenario.key, part)


def outcome(template: BoundTemplate, context: dict[str, Any]) -> str:
    try:
        return template.render(**context)
    except AbortMail as stop:
        return f"aborted: {stop}"


def test_two_studios_make_the_same_scenarios() -> None:
    campaign = CAMPAIGNS["weekly_recommendations"]
    first, second = (
        Studio(campaign, BRAND, contract(), EmailsSettings(), AS_OF, "picks") for _ in range(2)
    )
    assert first.found.scenarios == second.found.scenarios
    assert first.mails(first.found.scenarios) == second.mails(second.found.scenarios)


@pytest.mark.parametrize(
    "template",
    [
        "{% if customer.is_vip %}a{% endif %}",
        "{% if customer.orders == 17 %}a{% elsif customer.orders == 18 %}b{% endif %}",
        "{% if customer.orders > 1000 and customer.city == 'Cork' %}a{% else %}b{% endif %}",
        "{% unless customer.loyalty_tier == 'iron' %}a{% endunless %}",
        "{% if customer.revenue_base >= 499.5 %}a{% elsif customer.revenue_base < 0 %}b{% endif %}",
        "{% if cart.total > 5000 %}a{% elsif cart.size > 20 %}b{% endif %}",
        "{% if customer.stated_categories contains 'Garden tools' %}a{% endif %}",
        "{% if customer.city contains 'sea' %}a{% endif %}",
        "{% if customer.city == '' %}a{% elsif customer.city == nil %}b{% else %}c{% endif %}",
        "{% case customer.segment %}{% when 'champion', 'loyal' %}a{% when 'lapsed' %}b"
        "{% else %}c{% endcase %}",
        "{% assign n = customer.orders | modulo: 7 %}{% if n == 5 %}a{% endif %}",
        "{% assign p = recommendations | last %}{% if p.source == 'repeat' %}a{% endif %}",
        "{% for p in recommendations %}{% if p.few_left and p.price > 300 %}a{% endif %}"
        "{% if forloop.last and forloop.index == 5 %}b{% endif %}{% else %}none{% endfor %}",
        "{% for c in customer.categories_bought %}{% if c == 'Toys' %}a{% endif %}{% endfor %}",
        "{% if customer.is_vip %}{% if customer.orders > 50 %}{% if customer.city == 'Cork' %}"
        "{% if mail.regional_offer != '' %}{% unless mail.personalised %}x{% else %}deep"
        "{% endunless %}{% endif %}{% endif %}{% endif %}{% endif %}",
        "{% liquid\n if customer.is_vip\n  echo 'a'\n elsif customer.orders == 0\n  echo 'b'\n"
        " else\n  echo 'c'\n endif\n%}",
    ],
)
def test_scenarios_find_each_branch_of_a_template(folder: Path, template: str) -> None:
    (folder / "win_back" / "text.liquid").write_text("text " + template, encoding="utf-8")
    found = report(folder)
    left = [f"{row.branch.kind} {row.branch.text}" for row in found.unreached]
    # Of somebody who did not agree to personalisation no orders are told.
    assert left in ([], ["unless mail.personalised"])
    assert len(found.rows) >= 2


def test_a_branch_that_nobody_can_reach_is_reported_with_file_and_line(folder: Path) -> None:
    text = "Hello\n\n{% if cart.size > 2 %}\n{% if cart.size == 1 %}never{% endif %}{% endif %}"
    (folder / "win_back" / "text.liquid").write_text(text, encoding="utf-8")
    found = report(folder)
    [row] = found.unreached
    assert (row.branch.file.name, row.branch.line) == ("text.liquid", 4)
    assert row.branch.words == "if cart.size == 1"
    reached = {(r.branch.line, r.branch.kind): r.scenarios[0] for r in found.rows if r.reached}
    assert reached[3, "if"] == "large_cart"
    assert reached[3, "else"] == "typical"


def test_lines_are_the_authors_whatever_mjml_made_of_them(folder: Path) -> None:
    (folder / "_blocks" / "part.mjml").write_text(
        "<mj-section><mj-column>\n<mj-text>{% if customer.city == 'X' %}a{% endif %}</mj-text>\n"
        "</mj-column></mj-section>",
        encoding="utf-8",
    )
    (folder / "win_back" / "body.mjml").write_text(
        "<mjml lang='en'>\n<mj-head>\n"
        "<mj-title>{% if customer.is_vip %}a{% endif %}</mj-title>\n</mj-head>\n"
        "<mj-body>\n"
        # a background is written three times: for mail programs, for Outlook, and as an attribute
        '<mj-section background-url="https://x.example/'
        '{% if customer.orders == 3 %}a{% else %}b{% endif %}.png">\n<mj-column>\n'
        "<mj-text>{{ brand.name }} {% if customer.is_vip %}b{% endif %}</mj-text>\n"
        "</mj-column></mj-section>\n"
        '<mj-include path="part.mjml" />\n'
        "<mj-raw>{% for p in recommendations %}\n{% if p.is_new %}n{% endif %}{% endfor %}"
        "</mj-raw>\n"
        "</mj-body></mjml>",
        encoding="utf-8",
    )
    found = report(folder)
    places = {(r.branch.file.name, r.branch.line, r.branch.words) for r in found.rows}
    assert {p for p in places if "(" not in p[2]} == {
        ("body.mjml", 3, "if customer.is_vip"),
        ("body.mjml", 6, "if customer.orders == 3"),
        ("body.mjml", 8, "if customer.is_vip"),
        ("part.mjml", 2, 'if customer.city == "X"'),
        ("body.mjml", 11, "each p in recommendations"),
        ("body.mjml", 11, "when recommendations is empty"),
        ("body.mjml", 12, "if p.is_new"),
    }
    assert found.unreached == []


def test_a_shared_part_is_one_place_whoever_renders_it(folder: Path) -> None:
    part = "{% if item.few_left %}few{% endif %}"
    (folder / "_blocks" / "line.liquid").write_text(part, encoding="utf-8")
    text = (
        "{% for p in recommendations %}{% render 'line', item: p %}{% endfor %}"
        "{% for p in cart.items %}{% render 'line' with p as item %}{% endfor %}"
    )
    (folder / "win_back" / "text.liquid").write_text(text, encoding="utf-8")
    found = report(folder)
    lines = [row for row in found.rows if row.branch.file.name == "line.liquid"]
    assert [row.branch.words for row in lines] == ["if item.few_left", "else (not: item.few_left)"]
    assert found.unreached == []


def test_a_campaigns_own_scenarios_differ_in_what_the_file_says(folder: Path) -> None:
    (folder / "win_back" / "scenarios.yaml").write_text(
        """
        vip_without_name:
          title: A good customer without a name
          customer: {first_name: null, is_vip: true, orders: 12}
          recommendations: 3
          cart: {items: [{name: Brass lamp, price: 120, quantity: 2}]}
        one_best_seller:
          recommendations: 1
          mail: {bestsellers: true, regional_offer: Free delivery}
        """,
        encoding="utf-8",
    )
    (folder / "win_back" / "text.liquid").write_text(
        "{{ customer.first_name | default: 'you' }} {{ customer.orders }} "
        "{{ recommendations.size }} {{ cart.items.first.name }} {{ cart.total | money }} "
        "{{ mail.bestsellers }}",
        encoding="utf-8",
    )
    made = open_studio(folder)
    vip, best = (made.scenario(key) for key in ("vip_without_name", "one_best_seller"))
    first, second = made.mails([vip, best])
    assert first.title == "A good customer without a name"
    assert first.row["text"] == "you 12 3 Brass lamp €240.00 false\n"
    assert "customer.orders: 12" in first.differs
    assert second.row["text"].startswith("Maya 4 1 ")
    assert second.row["text"].endswith("true\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: {custommer: {}}", "a.custommer is no part of a mail's context, did you mean"),
        ("a: {customer: {citty: x}}", "a.customer.citty is not there, did you mean 'city'."),
        (
            "a: {customer: {orders: many}}",
            "line 1: a.customer.orders must be a whole number",
        ),
        ("a: {customer: 3}", "a.customer must hold fields"),
        ("a: {cart: {total: 3}}", "a.cart.total follows from other values"),
        ("a: {recommendations: lots}", "a.recommendations must be a number of products"),
        ("a: {recommendations: [{nmae: x}]}", "a.recommendations[0].nmae is not there, did you"),
        ("typical: {}", "typical is a scenario of every campaign"),
        ("'a b': {}", "a b is no name"),
        ("a: 3", "a must hold values"),
        ("- a", "line 1: this must hold names of scenarios"),
        ("a: {customer: [", "line 1: this is not valid YAML: a bracket is not closed."),
        ("a: {}\nb: {}\na: {}", "line 3: a stands here and in line 1; remove one."),
        (
            "a:\n  customer:\n    last_order_at: 24.12.2025",
            "line 3: a.customer.last_order_at must",
        ),
    ],
)
def test_a_mistake_in_scenarios_yaml_is_one_sentence(folder: Path, text: str, says: str) -> None:
    (folder / "win_back" / "scenarios.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        _ = open_studio(folder).found
    assert says in str(error.value)
    assert "scenarios.yaml" in str(error.value)
    assert "\n" not in str(error.value)
