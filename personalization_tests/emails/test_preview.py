"""The page of a preview: what is on it, who may read it, and that real mails are the run's own."""

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from personalization_assets.cli import main
from personalization_assets.commands.profile_columns import declared_columns
from personalization_assets.emails.contracts import DECISIONS, RULES
from personalization_assets.emails.gallery_page import DECISION_WORDS, RULE_WORDS
from personalization_assets.emails.links import Signer
from personalization_assets.emails.mail_context import mail_contract, profile_columns
from personalization_assets.emails.preview.coverage import RealMails, coverage
from personalization_assets.emails.preview.mails import Studio
from personalization_assets.emails.preview.page import summary, write_page
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.errors import UserError
from personalization_assets.settings import Settings
from personalization_assets.sql_models import read_sql_model
from personalization_tests.emails.conftest import Shop
from personalization_tests.emails.screenshots import NAMES
from personalization_tests.emails.shop import AS_OF, PROJECT
from personalization_tests.emails.studios import studio

CLIP = EmailsSettings().clip_bytes
SIGNER = Signer(b"0123456789abcdef")


def studio_of(shop: Shop, name: str, variant: str | None = None) -> Studio:
    campaign = next(c for c in shop.campaigns if c.name == name)
    contract = mail_contract(profile_columns(shop.con))
    return Studio(campaign, shop.brand, contract, EmailsSettings(), AS_OF, variant)


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


# --- real customers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weekly_recommendations", "abandoned_cart", "win_back"])
def test_a_customers_mail_is_the_one_of_the_run_byte_for_byte(shop: Shop, name: str) -> None:
    sent = shop.rows(
        f"""SELECT customer_id, subject, html, text, headers, content_hash FROM emails.batches
            WHERE campaign = '{name}' AND status = 'rendered' ORDER BY send_id LIMIT 5"""
    )
    mails = studio_of(shop, name).customer_mails(shop.con, [row[0] for row in sent], SIGNER)
    columns = ("customer_id", "subject", "html", "text", "headers", "content_hash")
    assert [tuple(mail.row[c] for c in columns) for mail in mails] == sent
    assert len(sent) > 2


def test_whoever_gets_no_mail_is_refused_with_the_reason(shop: Shop) -> None:
    made = studio_of(shop, "weekly_recommendations", "picks")
    [(held, decision, detail)] = shop.rows(
        """SELECT customer_id, decision, detail FROM emails.audience
           WHERE campaign = 'weekly_recommendations' AND decision <> 'send' ORDER BY 1 LIMIT 1"""
    )
    with pytest.raises(UserError) as error:
        made.customer_mails(shop.con, [held], SIGNER)
    assert f"gets no mail of weekly_recommendations ({decision}): {detail}" in str(error.value)
    [(other,)] = shop.rows(
        """SELECT customer_id FROM emails.audience WHERE campaign = 'weekly_recommendations'
           AND decision = 'send' AND variant = 'product' ORDER BY 1 LIMIT 1"""
    )
    with pytest.raises(UserError, match="gets variant 'product'"):
        made.customer_mails(shop.con, [other], SIGNER)
    with pytest.raises(UserError, match="is not in the audience"):
        made.customer_mails(shop.con, ["c_of_nobody"], SIGNER)


def test_branches_count_the_mails_of_real_customers(shop: Shop) -> None:
    made = studio_of(shop, "weekly_recommendations")
    real = made.real_mails(shop.con, 2_000)
    [(sends, bestsellers)] = shop.rows(
        """SELECT count(*), count(*) FILTER (WHERE text LIKE '%here is what people love this week%')
           FROM emails.batches
           WHERE campaign = 'weekly_recommendations' AND status = 'rendered'"""
    )
    report = coverage(made.traced, made.found, real)
    assert report.mails == real.mails == sends
    row = next(
        r
        for r in report.rows
        if r.branch.file.name == "text.liquid" and r.branch.words == "if mail.bestsellers"
    )
    assert row.mails == bestsellers > 0
    assert row.share == pytest.approx(bestsellers / sends)
    assert made.real_mails(shop.con, 10).mails == 10


def test_a_customer_who_reaches_what_no_scenario_reaches_is_worth_a_look(shop: Shop) -> None:
    made = studio_of(shop, "win_back")
    real = made.real_mails(shop.con, 50)
    found = made.found
    odd = next(iter(real.first))
    del found.by_branch[odd]
    chosen = real.worth_a_look(found, 2)
    assert chosen[0] == real.first[odd]
    assert set(real.seen[:2]) <= set(chosen)
    for reached in found.reached.values():
        reached.discard(odd)
    row = next(r for r in coverage(made.traced, found, real).rows if r.branch == odd)
    assert (row.scenarios, row.reached) == ((), True)
    row = next(r for r in coverage(made.traced, found, RealMails()).rows if r.branch == odd)
    assert (row.share, row.reached) == (None, False)


# --- the page ------------------------------------------------------------------------------------


def test_the_page_holds_every_mail_and_every_branch(tmp_path: Path) -> None:
    made = studio("weekly_recommendations")
    mails = made.mails(made.found.scenarios)
    report = coverage(made.traced, made.found)
    write_page(tmp_path / "deep" / "page.html", made.campaign, mails, report, CLIP)
    page = tmp_path / "deep" / "page.html"
    data = data_of(page)
    assert [entry["key"] for entry in data["entries"]] == [s.key for s in made.found.scenarios]
    assert all(list(entry["mails"]) == ["picks", "product"] for entry in data["entries"])
    markup = next(entry for entry in data["entries"] if entry["key"] == "markup")
    expected = next(m for m in mails if m.key == "markup")
    assert markup["mails"]["picks"]["html"] == expected.row["html"]
    assert "List-Unsubscribe: <https://" in markup["mails"]["picks"]["headers"]
    aborted = next(e for e in data["entries"] if e["key"] == "no_recommendations")
    assert aborted["mails"]["picks"]["status"] == "aborted"
    assert aborted["mails"]["picks"]["reason"] == "there is no product to show"
    assert len(data["rows"]) == len(report.rows) > 90
    assert sum(row["never"] for row in data["rows"]) == len(report.unreached)
    assert summary(report) == data["summary"]
    assert stat.S_IMODE(page.stat().st_mode) & 0o077 != 0
    assert list(page.parent.iterdir()) == [page]


def test_only_its_owner_reads_a_page_with_a_customer(shop: Shop, tmp_path: Path) -> None:
    made = studio_of(shop, "win_back")
    [(customer,)] = shop.rows(
        "SELECT customer_id FROM emails.batches WHERE campaign = 'win_back' LIMIT 1"
    )
    page = tmp_path / "page.html"
    page.write_text("an older one, which everybody could read")
    mails = made.customer_mails(shop.con, [customer], SIGNER)
    write_page(page, made.campaign, mails, None, CLIP)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    [entry] = data_of(page)["entries"]
    assert (entry["group"], entry["key"]) == ("Real customers", customer)
    assert data_of(page)["rows"] == []


CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)")
def test_a_browser_shows_the_mail_that_the_address_names(tmp_path: Path) -> None:
    made = studio("weekly_recommendations")
    page = tmp_path / "page.html"
    report = coverage(made.traced, made.found)
    write_page(page, made.campaign, made.mails(made.found.scenarios), report, CLIP)
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=1000",
        "--dump-dom",
        f"{page.as_uri()}#no_cart/product/dark",
    ]
    dom = subprocess.run(command, capture_output=True, check=True, timeout=90).stdout.decode()
    assert '<h2 id="title">Nothing in the basket</h2>' in dom
    assert 'id="subject" dir="auto">Oak serving board and 5 more for Maya</p>' in dom
    assert 'aria-pressed="true" data-scheme="dark"' in dom or (
        'data-scheme="dark" aria-pressed="true"' in dom
    )
    assert "110 of 114" in dom
    # In dark, what the mail keeps for dark is always on.
    assert "prefers-color-scheme: dark" not in dom.split('id="phone"')[1].split("</iframe>")[0]


# --- the command ---------------------------------------------------------------------------------


def run(*arguments: str, data: Path | None = None) -> Result:
    env = {"PERSONALIZE_DATA_DIR": str(data)} if data else {}
    return CliRunner().invoke(main, ["campaign", "preview", *arguments, "--no-open"], env=env)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder without a warehouse."""
    shutil.copy(PROJECT / "data" / "brand.yaml", tmp_path / "brand.yaml")
    shutil.copytree(PROJECT / "data" / "campaigns", tmp_path / "campaigns")
    return tmp_path


def test_without_a_warehouse_scenarios_are_shown(data: Path) -> None:
    done = run("weekly_recommendations", data=data)
    page = data / "exports" / "preview" / "weekly_recommendations.html"
    assert done.exit_code == 0, done.output
    assert str(page) in done.output
    assert "no_recommendations (picks): aborted, there is no product to show" in done.output
    assert re.search(r"preheader\.liquid:1\s+else \(none of: cart\.size > 0", done.output)
    assert len(data_of(page)["entries"]) > 20


def test_one_scenario_of_one_variant_is_all_that_was_asked_for(data: Path) -> None:
    out = data / "one.html"
    done = run(
        "win_back", "--scenario", "markup", "--variant", "news", "--out", str(out), data=data
    )
    assert done.exit_code == 0, done.output
    [entry] = data_of(out)["entries"]
    assert (entry["key"], list(entry["mails"])) == ("markup", ["news"])
    assert entry["mails"]["news"]["subject"].startswith("What is new in <b>Kitchen</b>")


def test_while_a_run_writes_the_warehouse_scenarios_are_shown(data: Path) -> None:
    script = "import duckdb,sys; con=duckdb.connect(sys.argv[1]); print('open',flush=True); input()"
    command = [sys.executable, "-c", script, str(data / "warehouse.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        done = run("win_back", "--scenario", "typical", data=data)
        refused = run("win_back", "--customer", "c_1", data=data)
        holder.communicate(b"\n")
    assert done.exit_code == 0, done.output
    assert f"is held by process {holder.pid}" in done.output
    assert "Only scenarios are shown." in done.output
    assert refused.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["wekly_recommendations"], "did you mean 'weekly_recommendations'?"),
        (["win_back", "--scenario", "no_consnet"], "did you mean 'no_consent'?"),
        (["win_back", "--variant", "newz"], "has no variant 'newz', did you mean 'news'?"),
        (["win_back", "--customer", "c_1"], "There is no warehouse at"),
        (["win_back", "--warehouse", "none.duckdb"], "There is no warehouse at none.duckdb"),
    ],
)
def test_a_mistake_is_one_sentence(data: Path, arguments: list[str], says: str) -> None:
    done = run(*arguments, data=data)
    assert done.exit_code == 1
    assert says in done.output
    assert done.output.count("\n") == 1
    assert not (data / "exports").exists()


def test_a_warehouse_that_no_run_has_filled_is_no_reason_to_show_nothing(data: Path) -> None:
    duckdb.connect(str(data / "warehouse.duckdb")).close()
    done = run("win_back", "--scenario", "typical", data=data)
    assert done.exit_code == 0, done.output
    assert "has no table emails.audience yet" in done.output
    assert "Only scenarios are shown." in done.output
    named = run("win_back", "--warehouse", str(data / "warehouse.duckdb"), data=data)
    assert (named.exit_code, named.output.count("\n")) == (1, 1)


def test_types_of_profiles_are_known_without_a_warehouse() -> None:
    types = declared_columns(Settings())
    model = read_sql_model(PROJECT / "dbt_like_sql" / "profiles" / "golden_profiles.sql")
    assert list(types) == [column.name for column in model.contract.columns]
    assert str(types["loyalty_points"]) == "int64"
    assert str(types["stated_categories"]).startswith("list<")


def test_the_gallery_has_words_for_every_decision_and_rule() -> None:
    assert set(DECISIONS) == set(DECISION_WORDS)
    assert set(RULES) == set(RULE_WORDS)
