"""A marketer's mistakes: one sentence each, with file and line and what to write instead."""

import shutil
from datetime import datetime
from pathlib import Path

import pytest
from liquid.exceptions import ContextDepthError

from personalization_assets.emails.brand import load_brand
from personalization_assets.emails.campaigns import load_campaign, load_campaigns
from personalization_assets.emails.liquid_env import LOOPS, MailEnvironment
from personalization_assets.emails.mail_context import mail_contract
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.suppression_list import read_list
from personalization_assets.emails.templates import MailTemplates, compile_variant
from personalization_assets.errors import UserError
from personalization_tests.emails.checked import BRAND, CUSTOMER
from personalization_tests.emails.shop import AS_OF, PROJECT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "data" / "campaigns", tmp_path / "campaigns")
    return tmp_path / "campaigns"


def build(folder: Path) -> MailTemplates:
    campaign = load_campaign(folder / "win_back")
    contract = mail_contract(CUSTOMER)
    return compile_variant(
        campaign, campaign.file.variants[0], BRAND, contract, EmailsSettings(), AS_OF
    )


def test_shipped_campaigns_compile(folder: Path) -> None:
    for campaign in load_campaigns(folder):
        for variant in campaign.file.variants:
            contract = mail_contract(CUSTOMER)
            mail = compile_variant(campaign, variant, BRAND, contract, EmailsSettings(), AS_OF)
            assert len(mail.version) == 12
            assert "first_name" in mail.customer_fields


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "text.liquid",
            "a\nb {{ customer.citty }}",
            "line 2: there is no variable 'customer.citty', did you mean 'customer.city'?",
        ),
        (
            "text.liquid",
            "{{ custommer.city }}",
            "there is no variable 'custommer', did you mean 'customer'?",
        ),
        (
            "text.liquid",
            "{% for i in cart.items %}{{ i.nmae }}{% endfor %}",
            "did you mean 'i.name'?",
        ),
        (
            "text.liquid",
            "{% for i in cart.items %}{% endfor %}{{ i.name }}",
            "there is no variable 'i'",
        ),
        (
            "text.liquid",
            "{% assign p = recommendations | first %}{{ p.prise }}",
            "did you mean 'p.price'?",
        ),
        (
            "text.liquid",
            "{% for l in customer.open_cart %}{{ l.sku }}{% endfor %}",
            "there is no variable 'l.sku'",
        ),
        ("text.liquid", "{% for x in customer.city %}{% endfor %}", "customer.city is not a list"),
        (
            "text.liquid",
            "{{ customer.city | upcasee }}",
            "there is no filter 'upcasee', did you mean 'upcase'?",
        ),
        (
            "text.liquid",
            "a\n\n{% if customer.city %}x",
            "line 3: this is not valid Liquid: this {% if %} has no {% endif %}",
        ),
        ("text.liquid", "{% iff customer.city %}x{% endif %}", "did you mean 'if'"),
        ("text.liquid", "{{ customer.city", "line 1: this is not valid Liquid"),
        ("text.liquid", "{% render 'footer_txt' %}", "did you mean 'footer_text'?"),
        (
            "text.liquid",
            "x\n{{#if customer.isVIP}}y{{/if}}",
            "line 2: '{{#if customer.isVIP}}' is Handlebars; "
            "in Liquid write '{% if customer.is_vip %}'.",
        ),
        ("text.liquid", "{{#each cart.items}}y{{/each}}", "{% for item in cart.items %}"),
        ("text.liquid", "{% if customer.is_vip %}a{{else}}b{% endif %}", "{% else %}"),
        ("subject.liquid", "{{ mail.subjekt }}", "subject.liquid line 1"),
        ("body.mjml", "<mjml><mj-body>\n<mj-section></mj-body></mjml>", "is not valid MJML"),
        (
            "body.mjml",
            '<mjml><mj-body>\n<mj-include path="heder.mjml" /></mj-body></mjml>',
            "did you mean 'header.mjml'?",
        ),
    ],
)
def test_a_mistake_in_a_template_is_one_sentence(
    folder: Path, file: str, text: str, says: str
) -> None:
    (folder / "win_back" / file).write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        build(folder)
    message = str(error.value)
    assert says in message
    assert file.partition(".")[0] in message or "_blocks" in message
    assert "\n" not in message
    assert "??" not in message


def test_a_mistake_in_a_shared_part_names_that_file(folder: Path) -> None:
    (folder / "_blocks" / "header.mjml").write_text("<mj-raw>\n{{ customer.citty }}</mj-raw>")
    with pytest.raises(UserError, match=r"_blocks/header\.mjml line 2.*customer\.city"):
        build(folder)
    (folder / "_blocks" / "header.mjml").write_text("")
    (folder / "_blocks" / "footer_text.liquid").write_text("a\n{{ brand.adress }}")
    with pytest.raises(UserError, match=r"footer_text\.liquid line 2"):
        build(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("priority: 50", "prioritty: 50"),
            "prioritty is not a known field, did you mean",
        ),
        (
            ("priority: 50", "priority: many"),
            "campaign.yaml line 3: priority must be a whole number, not 'many'.",
        ),
        (("holdout: 0.1", "holdout: 1.5"), "holdout must be less than 1, not '1.5'"),
        (("holdout: 0.1", "holdout: 10%"), "holdout must be a number, not '10%'"),
        (("schedule: daily", "schedule: 2026-12-24"), "schedule must be 'daily', or days"),
        (
            ("kind: promotional", "kind: promotional\nfrom: a@b.example"),
            "from must be fields of its",
        ),
        (
            ("kind: promotional", "kind: promotional\nreply_to: me"),
            "reply_to must be an e-mail add",
        ),
        (
            ("priority: 50", "priority: 50\npriority: 60"),
            "line 4: priority stands here and in line 3; remove one.",
        ),
        (
            ("priority: 50", "priority: 50\n\tkind: x"),
            "line 4: this is not valid YAML: there is a tab",
        ),
        (("description:", "description: @home\nx:"), "that begins with @ needs quotes around it"),
        (
            ("description:", "description: Now:"),
            "line 1: this is not valid YAML: there is a ':' too",
        ),
        (("priority: 50", "---\npriority: 50"), "'---' begins another document"),
        (("description:", "description: 'Now\nx:"), "a quotation mark is not closed"),
        (("priority: 50", "&priority: 50"), "line 1: None is not the name of a field"),
        (("share: 0.5", "share: 0.4"), "add up to 0.9"),
        (("schedule: daily", "schedule: tusday"), "did you mean 'tuesday'"),
        (
            ("kind: promotional", "kind: spam"),
            "kind must be 'promotional' or 'transactional', not 'spam'",
        ),
        (("orders > 0", "orders > 0; DROP TABLE x"), "one SQL condition"),
        (("orders > 0", "orders > "), "audience: this is not one SQL condition"),
        (("orders > 0", "days_since_order < now()"), "as_of"),
        (("orders > 0", "orders > (SELECT 1)"), "sub-queries"),
        (("subject.news.liquid", "subject.new.liquid"), "needs the file subject.new.liquid"),
        (
            ("description:", "descr: x\nother:"),
            "descr is not a known field, did you mean 'description'",
        ),
        (
            ("kind: promotional", "kind: [promotional"),
            "line 2: this is not valid YAML: a ',' or ']'",
        ),
    ],
)
def test_a_mistake_in_campaign_yaml_is_one_sentence(
    folder: Path, change: tuple[str, str], says: str
) -> None:
    path = folder / "win_back" / "campaign.yaml"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    with pytest.raises(UserError) as error:
        load_campaign(folder / "win_back")
    assert says in str(error.value)
    assert "campaign.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_campaign_and_brand_field(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'win_back'"):
        load_campaigns(folder, only=["winback"])
    path = tmp_path / "brand.yaml"
    path.write_text((PROJECT / "data" / "brand.yaml").read_text() + "\nlegel_name: x\n")
    with pytest.raises(UserError, match="did you mean 'legal_name'"):
        load_brand(path)
    for change, says in (
        ("\nname: x\n", "line 41: name stands here and in line 2"),
        ("\n\tx: 1\n", "line 41: this is not valid YAML: there is a tab"),
    ):
        path.write_text((PROJECT / "data" / "brand.yaml").read_text() + change)
        with pytest.raises(UserError, match=says):
            load_brand(path)
    for old, new, says in (
        (
            "site_url: https://",
            "site_url: www.",
            "line 11: site_url must be an address that",
        ),
        ("locale: en", "locale: pt", "locale must be one of en, de"),
    ):
        path.write_text((PROJECT / "data" / "brand.yaml").read_text().replace(old, new))
        with pytest.raises(UserError, match=says):
            load_brand(path)
    path.write_bytes("name: Grüße\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"brand\.yaml line 1: this is not UTF-8 text"):
        load_brand(path)
    with pytest.raises(UserError, match="is missing: write"):
        load_brand(tmp_path / "none.yaml")


def environment(html: bool = False, as_of: datetime = AS_OF) -> MailEnvironment:
    return MailEnvironment(
        html=html,
        brand=BRAND,
        utm={"utm_source": "n"},
        as_of=as_of,
        settings=EmailsSettings(loop_limit=50),
        partials={},
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 2.5 | round }} {{ 1.005 | round: 2 }} {{ -0.5 | round }}", "3 1.01 -1"),
        ("{{ 'abcde' | truncate: 5 }} {{ 'abcdef' | truncate: 5 }}", "abcde ab..."),
        ("{{ 'a b c' | truncatewords: 3 }}|{{ 'a b c d' | truncatewords: 3 }}", "a b c|a b c..."),
        ("{% for x in (1..3) limit: 0 %}{{ x }}{% endfor %}", ""),
        ("{% for x in (1..3) limit: 2 %}{{ x }}{% endfor %}", "12"),
        ("{{ gone | date: '%Y' | default: 'no date' }}", "no date"),
        ("{{ 'now' | date: '%Y-%m-%d' }}", "2026-06-15"),
        ("{{ list }}", "ab"),
        ("{{ 1234.5 | money }} {{ 0.005 | money }} {{ -3 | money }}", "€1,234.50 €0.01 -€3.00"),
        ("{{ 1240 | number }}", "1,240"),
        (
            "{{ 'https://a.example/x?y=1#z' | utm: 'top' }}",
            "https://a.example/x?y=1&utm_source=n&utm_content=top#z",
        ),
        ("{{ gone | money | default: 'ask us' }}", "ask us"),
    ],
)
def test_filters_do_what_authors_expect(template: str, expected: str) -> None:
    parsed = environment().from_string(template, name="t")
    assert parsed.render(list=["a", None, "b"], gone=None) == expected


def test_no_more_loops_can_lie_in_each_other_than_the_check_allows() -> None:
    def nested(count: int) -> str:
        opened = "".join(f"{{% for a{i} in (1..1) %}}" for i in range(count))
        return f"{opened}x{'{% endfor %}' * count}"

    assert environment().from_string(nested(LOOPS)).render() == "x"
    with pytest.raises(ContextDepthError):
        environment().from_string(nested(LOOPS + 1)).render()


def test_missing_values_are_counted_and_loops_are_bounded() -> None:
    env = environment()
    assert env.from_string("{{ a }}{{ b | default: 'x' }}", name="t").render(a=None, b=None) == "x"
    assert env.holes == 1
    with pytest.raises(Exception, match="loop iteration limit"):
        env.from_string("{% for i in (1..100) %}{% endfor %}", name="t").render()


def test_the_shops_own_list(tmp_path: Path) -> None:
    path = tmp_path / "suppressions.csv"
    assert read_list(path).height == 0
    path.write_text("email,since\nA@Example.com,2026-01-02\nb@example.com,\n")
    assert read_list(path).rows() == [
        ("a@example.com", datetime(2026, 1, 2)),
        ("b@example.com", None),
    ]
    path.write_text("mail\nx@example.com\n")
    with pytest.raises(UserError, match="one of them email"):
        read_list(path)
    path.write_text("email\nnot an address\n")
    with pytest.raises(UserError, match="line 2") as error:
        read_list(path)
    assert "not an address" not in str(error.value)
