"""The shipped campaigns, rendered: no holes, nothing injected, the same bytes every time."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import duckdb
from click.testing import CliRunner

from personalization_assets.cli import main
from personalization_assets.emails.gallery import write_gallery
from personalization_assets.emails.links import Signer
from personalization_tests.emails.conftest import Shop, render_all
from personalization_tests.emails.shop import make_shop

VISIBLE_HOLES = re.compile(
    r"\bNone\b|\bnil\b|\bnan\b|\{\{|\{%|Hello ,|Hi ,|^,|\(\)|[ ],(?=\s)|\bnull\b|LQ\d{5}X", re.M
)


class Words(HTMLParser):
    """The words that a mail shows, and its addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("style", "script", "title")
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script", "title")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


def read(html: str) -> Words:
    parser = Words()
    parser.feed(html)
    return parser


def test_every_send_has_a_mail(shop: Shop) -> None:
    sends = shop.rows("SELECT send_id FROM emails.audience WHERE decision = 'send' ORDER BY 1")
    assert sends == shop.rows("SELECT send_id FROM emails.batches ORDER BY 1")
    assert len(sends) > 100
    by_status = dict(shop.rows("SELECT status, count(*) FROM emails.batches GROUP BY 1"))
    assert by_status["rendered"] > 0.9 * len(sends)
    assert "error" not in by_status


def test_nothing_leaves_a_hole(shop: Shop) -> None:
    assert shop.rows("SELECT sum(holes) FROM emails.batches")[0][0] == 0
    for subject, preheader, html, text in shop.rows(
        "SELECT subject, preheader, html, text FROM emails.batches WHERE status = 'rendered'"
    ):
        shown = " ".join("".join(read(html).words).split())
        for part in (subject, preheader, text, shown):
            assert part.strip()
            assert not VISIBLE_HOLES.search(part)
        assert "  " not in subject
        assert "  " not in preheader
        assert "\n\n\n" not in text


def test_people_without_a_name_are_still_greeted(shop: Shop) -> None:
    rows = shop.rows(
        """SELECT b.subject, b.text FROM emails.batches b
           JOIN profiles.golden_profiles p USING (customer_id)
           WHERE p.given_name IS NULL AND b.status = 'rendered'"""
    )
    assert rows
    for subject, text in rows:
        assert text.startswith("Hello,\n")
        assert subject[0].isupper() or subject[0].isdigit()


def test_names_are_put_in_usual_case_or_left_out(shop: Shop) -> None:
    texts = " ".join(
        row[0] for row in shop.rows("SELECT text FROM emails.batches WHERE status = 'rendered'")
    )
    assert "Hello Seán," in texts
    assert "Hello Marie-Claire," in texts
    assert "Wolfgang-Max" not in texts


def test_customer_and_product_text_is_escaped(shop: Shop) -> None:
    for (html,) in shop.rows("SELECT html FROM emails.batches WHERE status = 'rendered'"):
        assert "<script>x" not in html
        assert "<b>Eve" not in html
        assert 'gold"><img>' not in html.lower()
        assert "<i>&" not in html
    assert shop.rows("SELECT count(*) FROM emails.batches WHERE html LIKE '%&lt;i&gt;&amp;%'")[0][0]


def test_line_breaks_never_reach_subject_or_headers(shop: Shop) -> None:
    seen = 0
    for subject, preheader, headers in shop.rows(
        "SELECT subject, preheader, headers FROM emails.batches WHERE status = 'rendered'"
    ):
        seen += "Bcc" in subject + preheader
        for part in (subject, preheader, *json.loads(headers).values()):
            assert not re.search(r"[\x00-\x1f\x7f]", part)
    assert seen, "no mail of the fixture carries the injected product name"


def test_every_mail_can_be_left(shop: Shop) -> None:
    signer = Signer(b"0123456789abcdef")
    for html, text, headers in shop.rows(
        "SELECT html, text, headers FROM emails.batches WHERE status = 'rendered'"
    ):
        found, head = read(html), json.loads(headers)
        one_click = head["List-Unsubscribe"].strip("<>")
        assert one_click.startswith("https://")
        assert signer.verify(one_click)
        assert not signer.verify(one_click.replace("?m=", "?m=0"))
        assert head["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert any("a=unsubscribe" in link and signer.verify(link) for link in found.links)
        assert shop.brand.postal_address in " ".join(found.words)
        assert shop.brand.postal_address in text
        assert "Unsubscribe: https://" in text
        assert '<html lang="en"' in html
        assert "prefers-color-scheme: dark" in html
        assert all((image.get("alt") or "").strip() for image in found.images)


def test_shop_links_carry_tags_once(shop: Shop) -> None:
    for campaign, html in shop.rows(
        "SELECT campaign, html FROM emails.batches WHERE status = 'rendered' LIMIT 40"
    ):
        name = "weekly" if campaign == "weekly_recommendations" else campaign
        links = [x for x in read(html).links if x.startswith("https://") and "/mail/" not in x]
        assert links
        for link in links:
            assert link.count("utm_campaign=") == 1
            assert f"utm_campaign={name}" in link
            assert link.count("?") == 1
            assert "#" not in link or link.endswith("#top")


def test_without_consent_a_mail_shows_best_sellers_only(shop: Shop) -> None:
    rows = shop.rows(
        """SELECT b.html, b.text FROM emails.batches b JOIN emails.audience a USING (send_id)
           WHERE NOT a.personalised AND b.status = 'rendered'"""
    )
    assert rows
    best = {
        name
        for (name,) in shop.rows(
            "SELECT m.name FROM mail_bestsellers JOIN mail_products m USING (product_id)"
            " WHERE place <= 6"
        )
    }
    for html, text in rows:
        assert "basket is waiting" not in html
        assert "You told us" not in html
        assert "we do not use your browsing or orders" in html
        assert "we do not use your browsing or orders" in text
        for name in re.findall(r"^\* (.+), €", text, re.M):
            assert name in best


def test_people_without_recommendations_get_best_sellers(shop: Shop) -> None:
    rows = shop.rows(
        """SELECT b.products, b.text FROM emails.batches b
           LEFT JOIN recommendations.top_products t USING (customer_id)
           WHERE t.customer_id IS NULL AND b.status = 'rendered'"""
    )
    assert rows
    for products, text in rows:
        assert products >= 4
        assert text.count("\n* ") >= 4


def test_what_lies_in_the_basket_is_not_recommended(shop: Shop) -> None:
    both = shop.rows(
        """SELECT count(*) FROM profiles.golden_profiles p
           JOIN recommendations.top_products t USING (customer_id)
           WHERE len(list_filter(p.open_cart, lambda x: x.product_id = t.product_id)) > 0"""
    )
    assert both[0][0] > 0
    for (text,) in shop.rows(
        "SELECT text FROM emails.batches WHERE campaign = 'abandoned_cart' AND status = 'rendered'"
    ):
        basket = set(re.findall(r"^\* (.+), \d+ x ", text, re.M))
        recommended = set(re.findall(r"^\* (.+), €", text, re.M))
        assert basket
        assert not basket & recommended


def test_a_cart_that_sold_out_gives_no_mail(shop: Shop) -> None:
    rows = shop.rows("SELECT status, reason, html FROM emails.batches WHERE status <> 'rendered'")
    assert rows
    assert set(rows) == {("aborted", "nothing of the basket can be bought any more", None)}


def test_same_run_same_bytes(shop: Shop, tmp_path: Path) -> None:
    con = make_shop()
    render_all(con, tmp_path / "a")
    con.execute("SET threads = 1")
    render_all(con, tmp_path / "b")
    con.close()
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(files) == 5
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_mails_stay_below_the_clip(shop: Shop) -> None:
    assert shop.rows("SELECT max(bytes) FROM emails.batches")[0][0] < 60 * 1024


def test_gallery_shows_mails_of_each_campaign_and_all_decisions(shop: Shop, tmp_path: Path) -> None:
    gallery = write_gallery(shop.con, tmp_path, shop="Alder & Finch")
    page = gallery.page.read_text(encoding="utf-8")
    assert page.count("<iframe ") == gallery.mails >= 12
    assert "%%" not in page.replace("100%%", "")
    for campaign in shop.campaigns:
        assert f'id="{campaign.name}"' in page
    for scenario in ("Best customer with a full basket", "No consent", "Variant product"):
        assert scenario in page
    assert "did not agree to personalisation" in page
    read(page)
    assert write_gallery(shop.con, tmp_path, shop="Alder & Finch").page.read_text() == page


def test_a_gallery_without_mails_is_one_sentence(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    for name, says in (("none", "There is no warehouse at"), ("empty", "no table emails.batches")):
        arguments = ["gallery", "--warehouse", str(tmp_path / f"{name}.duckdb")]
        done = CliRunner().invoke(main, arguments)
        assert (done.exit_code, done.output.count("\n")) == (1, 1)
        assert says in done.output
