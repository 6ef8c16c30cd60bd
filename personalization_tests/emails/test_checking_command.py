"""`personalize campaign check` and `list`, as a marketer runs them; and what a run says."""

import json
import shutil
import time
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from personalization_assets.cli import main
from personalization_assets.emails.brand import load_brand
from personalization_assets.emails.campaigns import load_campaign, load_campaigns
from personalization_assets.emails.checking.campaign import check_campaigns, warnings_of
from personalization_assets.emails.checking.measures import html_bytes
from personalization_assets.emails.mail_context import mail_contract, profile_columns
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import compile_variant
from personalization_assets.errors import UserError
from personalization_tests.emails.checked import BRAND, CUSTOMER, in_body, write_campaign
from personalization_tests.emails.conftest import Shop
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one campaign; commands are called from it."""
    shutil.copy(PROJECT / "data" / "brand.yaml", tmp_path / "brand.yaml")
    write_campaign(tmp_path / "campaigns")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(tmp_path))
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["campaign", *arguments])


def test_the_shipped_campaigns_have_no_findings_in_no_time(shop: Shop) -> None:
    started = time.perf_counter()
    checked = check_campaigns(
        PROJECT / "data" / "campaigns",
        None,
        shop.brand,
        mail_contract(profile_columns(shop.con)),
        EmailsSettings(),
        AS_OF,
    )
    assert [f.sentence for f in checked.findings] == []
    assert len(checked.campaigns) == 3
    assert time.perf_counter() - started < 3


def test_the_estimated_size_is_that_of_the_largest_mails(shop: Shop) -> None:
    contract = mail_contract(profile_columns(shop.con))
    sizes = dict(shop.rows("SELECT campaign, max(bytes) FROM emails.batches GROUP BY 1"))
    for campaign in shop.campaigns:
        made = compile_variant(
            campaign, campaign.file.variants[0], shop.brand, contract, EmailsSettings(), AS_OF
        )
        estimate = html_bytes(made.parsed["html"], campaign.file.products.count)
        assert 0.9 < estimate / sizes[campaign.name] < 1.3


def test_nothing_wrong_ends_with_0_and_says_so(data: Path) -> None:
    result = call("check")
    assert (result.exit_code, result.stdout) == (0, "mine checked: nothing found.\n")
    assert "There is no warehouse at" in result.stderr


def test_findings_are_listed_by_file_with_places_that_an_editor_opens(data: Path) -> None:
    write_campaign(
        data / "campaigns",
        {"subject.liquid": "a! b!", "text.liquid": "\n{{ customer.citty }}{{ customer.city }}"},
    )
    result = call("check", "mine")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == [
        "campaigns/mine/subject.liquid:1",
        "warning",
        "subject_exclamation",
    ]
    assert lines[1] == ""
    places = [line.split()[:3] for line in lines[2:5]]
    assert places == [
        ["campaigns/mine/text.liquid:1", "error", "text_unsubscribe"],
        ["campaigns/mine/text.liquid:2:4", "error", "variable_unknown"],
        ["campaigns/mine/text.liquid:2:24", "warning", "nullable_printed"],
    ]
    assert lines[3].endswith("there is no variable 'customer.citty', did you mean 'customer.city'?")
    assert lines[-1] == "mine checked: 2 errors, 2 warnings."


def test_warnings_end_with_0_unless_strict(data: Path) -> None:
    write_campaign(data / "campaigns", {"subject.liquid": "a! b!"})
    assert call("check").exit_code == 0
    assert call("check", "--strict").exit_code == 1


def test_json_is_for_editors(data: Path) -> None:
    write_campaign(data / "campaigns", {"subject.liquid": "a\n{{ x }}"})
    result = call("check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "severity": "error",
            "code": "variable_unknown",
            "file": "campaigns/mine/subject.liquid",
            "line": 2,
            "column": 4,
            "message": "there is no variable 'x'",
            "hint": "known here: brand, campaign, cart, customer, links, mail, recommendations, "
            "viewed",
        }
    ]


def test_a_name_that_does_not_exist_is_one_sentence(data: Path) -> None:
    result = call("check", "mien")
    assert result.exit_code == 1
    assert "did you mean 'mine'?" in result.stderr


def test_types_are_checked_with_and_without_a_warehouse(data: Path) -> None:
    write_campaign(
        data / "campaigns", {"subject.liquid": "{% for x in customer.city %}{% endfor %}a"}
    )
    assert "customer.city is not a list" in call("check").stdout
    # In this warehouse the column is of another type.
    con = make_shop(5, str(data / "warehouse.duckdb"))
    con.execute("ALTER TABLE profiles.golden_profiles ALTER city TYPE VARCHAR[] USING [city]")
    con.close()
    result = call("check")
    assert result.stdout == "mine checked: nothing found.\n"
    assert "warehouse" not in result.stderr
    with duckdb.connect(str(data / "warehouse.duckdb")) as con:
        con.execute("DROP SCHEMA profiles CASCADE")
    result = call("check")
    assert "customer.city is not a list" in result.stdout
    assert "has no table profiles.golden_profiles yet" in result.stderr


@pytest.mark.parametrize("command", [["check"], ["why", "c_1"]])
def test_a_warehouse_that_was_named_must_be_there(data: Path, command: list[str]) -> None:
    result = call(*command, "--warehouse", "none.duckdb")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "personalize: There is no warehouse at none.duckdb: run `personalize run` first.\n"
    )
    (data / "text.duckdb").write_text("no database, whatever its name says")
    result = call(*command, "--warehouse", "text.duckdb")
    assert result.exit_code == 1
    assert "The warehouse text.duckdb cannot be opened" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_mistake_in_a_shared_part_is_told_once(data: Path) -> None:
    part = {"../_blocks/foot.liquid": "{{ links.unsubscribe }}{{ customer.city }}"}
    text = {"text.liquid": "a {% render 'foot' %}"}
    write_campaign(data / "campaigns", part | text)
    shutil.copytree(data / "campaigns" / "mine", data / "campaigns" / "yours")
    result = call("check")
    assert result.stdout.count("nullable_printed") == 1
    assert result.stdout.endswith("2 campaigns checked: 1 warning.\n")


def test_all_mistakes_of_a_campaign_file_are_told(data: Path) -> None:
    text = "descripton: A\nprioritty: 1\naudience: 1 +\nholdout: 3\n"
    write_campaign(data / "campaigns", {"campaign.yaml": text})
    found = json.loads(call("check", "--json").stdout)
    assert [(f["line"], f["message"].split(",")[0].split(":")[0]) for f in found] == [
        (1, "descripton is not a known field"),
        (2, "prioritty is not a known field"),
        (3, "audience"),
        (4, "holdout must be less than 1"),
    ]


@pytest.mark.parametrize(
    ("audience", "says"),
    [
        ("ordrs > 0", "no column 'ordrs', did you mean 'orders'"),
        ("city = “Galway”", "write texts in straight single quotes"),
        ("length(orders) > 3", "audience: No function matches"),
    ],
)
def test_an_audience_that_does_not_fit_the_profiles_is_told(
    data: Path, audience: str, says: str
) -> None:
    text = f"description: A\npriority: 1\naudience: |\n  {audience}\n"
    write_campaign(data / "campaigns", {"campaign.yaml": text})
    result = call("check")
    assert result.exit_code == 1
    assert result.stdout.startswith("campaigns/mine/campaign.yaml:3")
    assert says in result.stdout


def test_a_mistake_in_the_scenarios_of_a_preview_is_told(data: Path) -> None:
    files = {"scenarios.yaml": "vip:\n  customer:\n    is_vipp: true\n"}
    write_campaign(data / "campaigns", files)
    [finding] = json.loads(call("check", "--json").stdout)
    assert (finding["file"], finding["line"]) == ("campaigns/mine/scenarios.yaml", 3)
    assert finding["message"] == "vip.customer.is_vipp is not there, did you mean 'is_vip'"
    write_campaign(data / "campaigns", {"scenarios.yaml": "vip:\n  customer: {is_vip: true}\n"})
    assert call("check").exit_code == 0


def test_campaigns_are_listed_by_priority(data: Path) -> None:
    shutil.copytree(PROJECT / "data" / "campaigns", data / "campaigns", dirs_exist_ok=True)
    rows = [line.split() for line in call("list").stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "campaign",
        "abandoned_cart",
        "win_back",
        "weekly_recommendations",
        "mine",
    ]
    assert rows[2][1:3] == ["promotional", "50"]
    assert rows[2][-4:] == ["friendly", "50%,", "news", "50%"]


def test_a_run_stops_at_the_first_error_and_says_how_to_see_the_others(tmp_path: Path) -> None:
    write_campaign(tmp_path, {"subject.liquid": "{{ a }}{{ b }}", "text.liquid": "c"})
    campaign = load_campaign(tmp_path / "mine")
    with pytest.raises(UserError) as error:
        compile_variant(
            campaign,
            campaign.file.variants[0],
            BRAND,
            mail_contract(CUSTOMER),
            EmailsSettings(),
            AS_OF,
        )
    message = str(error.value)
    assert "subject.liquid line 1: there is no variable 'a'" in message
    assert message.endswith("(2 more: personalize campaign check mine)")


def test_a_run_is_told_each_warning_once(tmp_path: Path) -> None:
    variants = "variants: [{name: a, share: 0.5}, {name: b, share: 0.5, subject: b.liquid}]\n"
    yaml = f"description: A\npriority: 1\naudience: orders > 0\n{variants}"
    files = {"campaign.yaml": yaml, "b.liquid": "a! b!"}
    write_campaign(tmp_path, files | in_body("{{ customer.city }}"))
    made = [
        compile_variant(campaign, variant, BRAND, mail_contract(CUSTOMER), EmailsSettings(), AS_OF)
        for campaign in load_campaigns(tmp_path)
        for variant in campaign.file.variants
    ]
    said = warnings_of(made)
    assert [s.partition(": ")[0].rpartition("/")[2] for s in said] == [
        "b.liquid line 1",
        "body.mjml line 6",
    ]


def test_what_a_campaign_allows_does_not_change_its_templates_version(tmp_path: Path) -> None:
    versions = set()
    for allow in ("[]", "[image_alt]"):
        yaml = f"description: A\npriority: 1\naudience: orders > 0\nallow: {allow}\n"
        campaign = load_campaign(write_campaign(tmp_path, {"campaign.yaml": yaml}) / "mine")
        made = compile_variant(
            campaign,
            campaign.file.variants[0],
            load_brand(PROJECT / "data" / "brand.yaml"),
            mail_contract(CUSTOMER),
            EmailsSettings(),
            AS_OF,
        )
        versions.add(made.version)
    assert len(versions) == 1
