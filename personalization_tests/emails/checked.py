"""A small campaign in which nothing is wrong, to be spoilt in one place at a time."""

from pathlib import Path

import pyarrow as pa

from personalization_assets.emails.brand import load_brand
from personalization_assets.emails.checking.campaign import check_campaigns
from personalization_assets.emails.checking.findings import Finding
from personalization_assets.emails.mail_context import mail_contract
from personalization_assets.emails.settings import EmailsSettings
from personalization_tests.emails.shop import AS_OF, PROJECT

BRAND = load_brand(PROJECT / "data" / "brand.yaml")
CUSTOMER: dict[str, pa.DataType] = dict.fromkeys(
    (
        "customer_id",
        "given_name",
        "email",
        "city",
        "country",
        "loyalty_tier",
        "favourite_category",
    ),
    pa.string(),
) | {
    "is_vip": pa.bool_(),
    "orders": pa.int64(),
    "loyalty_points": pa.int64(),
    "days_since_order": pa.int64(),
    "stated_categories": pa.list_(pa.string()),
    "last_order_at": pa.timestamp("us"),
    "open_cart": pa.list_(pa.struct({"product_id": pa.string(), "quantity": pa.int64()})),
}
BODY = """<mjml lang="en">
  <mj-head><mj-attributes><mj-all font-family="Arial" />
    </mj-attributes><mj-preview>{{ mail.preheader }}</mj-preview></mj-head>
  <mj-body>
    <mj-section><mj-column><mj-table><tr><td>
%s
      </td></tr></mj-table>
      <mj-text><a href="{{ links.unsubscribe }}">Unsubscribe</a>
        {{ brand.postal_address }}</mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""
HTML = """<!doctype html>
<html lang="en"><body><div>{{ mail.preheader }}</div>
%s
<a href="{{ links.unsubscribe }}">Unsubscribe</a> {{ brand.postal_address }}
</body></html>
"""
FILES = {
    "campaign.yaml": "description: A test\npriority: 1\naudience: orders > 0\n",
    "subject.liquid": "What is new",
    "preheader.liquid": "Come and see",
    "body.mjml": BODY % "Hello",
    "text.liquid": "Hello\n{{ links.unsubscribe }}\n",
}
FRAGMENT = 6
"""The line of `BODY` at which a fragment is put in."""
YAML = FILES["campaign.yaml"]
MJ_LINE = FILES["body.mjml"].replace(
    "    <mj-section><mj-column><mj-table>", "    <mj-section><mj-column>%s\n<mj-table>"
)
"""The body, with something put in between its elements at the end of line 5."""


def in_body(fragment: str) -> dict[str, str]:
    """The body with something put in."""
    return {"body.mjml": BODY % fragment}


def in_html(fragment: str) -> dict[str, str]:
    """A body in HTML with something put in, at line 3."""
    variants = "variants: [{name: a, share: 1, body: body.html}]\n"
    return {"campaign.yaml": YAML + variants, "body.html": HTML % fragment}


def write_campaign(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Write `folder/mine` and what `files` adds to it or replaces; a name may begin with `../`."""
    (folder / "mine").mkdir(parents=True, exist_ok=True)
    (folder / "_blocks").mkdir(exist_ok=True)
    for name, text in (FILES | (files or {})).items():
        (folder / "mine" / name).write_text(text, encoding="utf-8")
    return folder


def findings(
    folder: Path, files: dict[str, str] | None = None, settings: EmailsSettings | None = None
) -> tuple[Finding, ...]:
    """What is found in the campaign."""
    write_campaign(folder, files)
    return look(folder, settings)


def look(folder: Path, settings: EmailsSettings | None = None) -> tuple[Finding, ...]:
    """What is found in the campaigns of a folder."""
    contract = mail_contract(CUSTOMER)
    return check_campaigns(
        folder, None, BRAND, contract, settings or EmailsSettings(), AS_OF
    ).findings


def places(found: tuple[Finding, ...]) -> set[tuple[str, str, int]]:
    """Code, file and line of findings."""
    return {(f.code, f.file.name, f.line) for f in found}
