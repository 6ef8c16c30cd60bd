"""What a run says about a template names the file and line that its author wrote."""

import re
from pathlib import Path

import pytest

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.building import compile_all, render_parts
from personalization_assets.emails.campaigns import load_campaigns
from personalization_assets.emails.checking.sources import Converted
from personalization_assets.emails.links import Signer
from personalization_assets.emails.liquid_batch import BatchEnvironment
from personalization_assets.emails.mail_context import mail_contract
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import compile_variant
from personalization_tests.emails.checked import BODY, BRAND, CUSTOMER, write_campaign
from personalization_tests.emails.conftest import Shop, render_all
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop

PLACE = re.compile(r"((?:mine|_blocks)/[\w.]+) line (\d+)")
TABLE = """<tr><td
  style="color:{{ brand.colours.ink }}">{{ customer.city
    | default: 'your town' }}</td></tr>
{%- for p in recommendations -%}
<tr><td>
  {{ p.name }}
  {% if customer.stated_categories contains p.category %}liked{% endif %}
</td></tr>
{%- endfor -%}
<mj-include path="cards.mjml" />"""
CARDS = """<tr><td>More</td></tr>
{% for q in recommendations %}<tr><td>
    {{ q.name }} {% render 'card', product: q, of: customer.open_cart %}
</td></tr>{% endfor %}"""
CARD = """{{ product.name }}
{% if of %}{{ product.price | money }}{% endif %}
{% cycle 'odd', 'even' %}
"""
TEXT = """Hello
{% liquid
  assign orders = customer.orders
  echo 100 | divided_by: orders
%}
{{ links.unsubscribe }}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Path]:
    folder = tmp_path_factory.mktemp("campaigns")
    files = {
        "campaign.yaml": "description: A\npriority: 1\naudience: 'true'\nproducts: {minimum: 1}\n",
        "body.mjml": BODY % TABLE,
        "text.liquid": TEXT,
        "../_blocks/cards.mjml": CARDS,
        "../_blocks/card.liquid": CARD,
    }
    write_campaign(folder, files)
    return render_all(make_shop(), folder / "parts", folder), folder


def named(folder: Path, words: str) -> list[str]:
    """The lines that a sentence names, as they stand in the files."""
    found = PLACE.findall(words)
    assert found
    return [(folder / file).read_text().splitlines()[int(line) - 1].strip() for file, line in found]


def test_advice_on_slow_loops_names_the_authors_lines(made: tuple[Shop, Path]) -> None:
    shop, folder = made
    first, second = shop.report.templates["mine", "a", "html"].advice
    assert "rendered anew" in first
    assert named(folder, first) == [
        "{%- for p in recommendations -%}",
        "{% if customer.stated_categories contains p.category %}liked{% endif %}",
    ]
    assert second.startswith("_blocks/cards.mjml line 2: for q in recommendations")
    assert named(folder, second) == [
        "{% for q in recommendations %}<tr><td>",
        "{{ q.name }} {% render 'card', product: q, of: customer.open_cart %}",
        "{% cycle 'odd', 'even' %}",
    ]
    assert "uses cycle at _blocks/card.liquid line 3" in second


def test_mails_that_fail_and_rows_that_are_sent_back_name_the_authors_line(
    made: tuple[Shop, Path],
) -> None:
    shop, folder = made
    failed = shop.rows("SELECT DISTINCT reason FROM emails.batches WHERE status = 'error'")
    assert failed == [("a filter has a value that it can't take: mine/text.liquid line 4",)]
    assert named(folder, failed[0][0]) == ["echo 100 | divided_by: orders"]
    [advice] = shop.report.templates["mine", "a", "text"].advice
    assert "were rendered again by python-liquid" in advice
    assert named(folder, advice) == ["echo 100 | divided_by: orders"]


def test_every_tag_of_the_shipped_bodies_is_where_its_file_has_it() -> None:
    tags = 0
    for campaign in load_campaigns(PROJECT / "data" / "campaigns"):
        for variant in campaign.file.variants:
            contract = mail_contract(CUSTOMER)
            made = compile_variant(campaign, variant, BRAND, contract, EmailsSettings(), AS_OF)
            body = made.texts["html"]
            assert isinstance(body, Converted)
            for start, length, _ in body.tokens:
                token = body.text[start : start + length]
                if token.startswith("{"):  # what the brand says is filled in
                    place = body.place(start)
                    line = place.path.read_text().split("\n")[place.line - 1]
                    assert line[(place.column or 1) - 1 :].startswith(token.split("\n")[0])
                    tags += 1
    assert tags > 200


def test_advice_is_the_same_where_other_processes_render(
    made: tuple[Shop, Path], tmp_path: Path
) -> None:
    shop, _ = made
    settings = EmailsSettings(workers=2, parallel_from=1)
    compiled = compile_all(shop.con, shop.campaigns, shop.brand, settings, AS_OF)
    report = render_parts(shop.con, compiled, Signer(b"0123456789abcdef"), tmp_path)
    assert {key: part.advice for key, part in report.templates.items()} == {
        key: part.advice for key, part in shop.report.templates.items()
    }


def test_a_template_that_is_not_compiled_names_the_place_that_whoever_compiles_it_knows() -> None:
    env = BatchEnvironment(now=AS_OF)
    parsed = env.from_string("a\n{% for p in products %}{{ forloop }}{% endfor %}", name="card")
    places: list[tuple[str, int]] = []

    def where(text: str, index: int) -> str:
        places.append((text, index))
        return "mine/body.mjml line 7"

    report = liquid_batch.compile(parsed, where=where).report
    assert report.why_not.endswith("at mine/body.mjml line 7")
    assert {text[index : index + 7] for text, index in places} == {"forloop"}
