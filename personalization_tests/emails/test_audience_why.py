"""`personalize campaign why`: the account of one person, on the warehouse of a run."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from personalization_assets.cli import main
from personalization_assets.emails.audience import decide
from personalization_assets.emails.campaigns import load_campaigns
from personalization_assets.emails.contracts import RULES
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.why import WHAT_CHANGES, condition_parts
from personalization_tests.emails.shop import AS_OF, make_shop, publish
from personalization_tests.emails.worlds import campaign

YAML = """
description: {name}
priority: {priority}
again_after_days: 7
schedule: {schedule}
audience: |
  orders >= 0 -- everybody
  AND days_since_order BETWEEN 20 AND 400
  AND (country = 'IE' OR country = 'US')
"""
Why = Callable[..., str]


@pytest.fixture(scope="module")
def why(tmp_path_factory: pytest.TempPathFactory) -> Why:
    data = tmp_path_factory.mktemp("data")
    for name, priority, schedule in (
        ("news", 10, "daily"),
        ("cart", 90, "daily"),
        ("late", 5, "friday"),
    ):
        folder = data / "campaigns" / name
        folder.mkdir(parents=True)
        for file in ("subject.liquid", "preheader.liquid", "body.mjml", "text.liquid"):
            (folder / file).write_text("x")
        (folder / "campaign.yaml").write_text(
            YAML.format(name=name, priority=priority, schedule=schedule)
        )
    con = make_shop(60, str(data / "warehouse.duckdb"))
    con.execute(
        """
        UPDATE profiles.golden_profiles SET country = 'IE', days_since_order = 30,
            engagement_level = 'low', time_zone = 'America/New_York';
        UPDATE profiles.golden_profiles SET country = 'DE', days_since_order = NULL
            WHERE customer_id LIKE '%02';
        UPDATE profiles.golden_profiles SET email = 'P3@Mail.example.com'
            WHERE customer_id LIKE '%04';
        INSERT INTO emails.suppressions VALUES
            ('p5@mail.example.com', 'soft_bounce', '2026-06-01', '2026-07-09', 'promotional', []);
        CREATE SCHEMA identity;
        CREATE TABLE identity.redirects AS
            SELECT 'c_gone' AS retired_id, 'c_0000000000000001' AS customer_id;
        """
    )
    for person, campaign_name, days in ((1, "old", 2), (7, "news", 3)):
        con.execute(
            "INSERT INTO standardized.email_events VALUES ('e', ?, ?, 'delivered', ?, ?, ?, NULL)",
            [
                str(person),
                AS_OF - timedelta(days=days),
                f"p{person}@mail.example.com",
                campaign_name,
                str(person),
            ],
        )
    campaigns = load_campaigns(data / "campaigns")
    publish(con, "emails.audience", decide(con, campaigns, EmailsSettings(), AS_OF))
    con.close()

    def ask(*args: str, code: int = 0) -> str:
        result = CliRunner().invoke(
            main,
            ["campaign", "why", *args],
            env={"PERSONALIZE_DATA_DIR": str(data), "COLUMNS": "200"},
        )
        assert result.exit_code == code, result.output
        return result.output

    return ask


def person(number: int) -> str:
    return f"c_{number:016d}"


def test_a_full_window_names_the_mails_that_fill_it_and_when_there_is_room(why: Why) -> None:
    text = why(person(1))
    assert "2 would be above 1 in 7 days (engagement low, 1 before this run)" in text
    assert "A place is free on 2026-06-20" in text
    assert "2026-06-13 06:00  old" in text
    assert "goes out on friday, the run was on a monday" in text
    assert why("c_gone").startswith("c_gone was merged and lives on as c_0000000000000001.")


def test_who_is_outside_reads_which_conditions_failed_and_on_which_values(why: Why) -> None:
    text = why(person(2), "--campaign", "news")
    assert "2 of 3 conditions do not hold" in text
    assert "days_since_order BETWEEN 20 AND 400 (undecided): days_since_order is empty" in text
    assert "(country = 'IE' OR country = 'US'): country is DE" in text
    assert "orders >= 0" not in text
    assert "cart" not in text


def test_an_address_finds_everybody_behind_it_and_is_not_printed(why: Why) -> None:
    text = why(" p3@MAIL.example.com")
    assert person(3) in text
    assert person(4) in text
    assert "another person with this address gets this campaign" in text
    assert "@" not in text


def test_rules_say_when_they_end(why: Why) -> None:
    assert "The rest ends on 2026-07-09" in why(person(5))
    text = why(person(7), "--campaign", "news")
    assert "A mail that leaves on 2026-06-19 or later may be it again." in text


def test_the_person_who_gets_it_reads_when_it_leaves(why: Why) -> None:
    assert "leaves 2026-06-15 12:00 UTC" in why(person(0))  # 8:00 in New York


def test_mistakes_are_one_sentence_that_does_not_repeat_the_address(why: Why) -> None:
    text = why("nobody@mail.example.com", code=1)
    assert "Nobody in profiles.golden_profiles" in text
    assert "nobody@" not in text
    assert "There is no such customer" in why("c_unknown", code=1)
    assert "did you mean 'news'" in why(person(1), "--campaign", "newz", code=1)


def test_every_rule_of_the_contract_has_its_sentence() -> None:
    with_figures = {"again_after_days", "same_address", "cap"}
    assert set(WHAT_CHANGES) | with_figures == set(RULES)


ATOMS = [
    "orders > 1",
    "orders IS NULL",
    "city = 'AND -- x  y'",
    "days_since_order BETWEEN 1 AND 90",
    "len(open_cart) > 0",
    "CASE WHEN is_vip AND orders > 0 THEN true ELSE false END",
    "(country = 'IE' OR country = 'US')",
    "cart_updated_at > as_of - INTERVAL 7 DAY",
    "NOT (is_vip AND orders > 2)",
]


@given(
    st.lists(st.sampled_from(ATOMS), min_size=1, max_size=5),
    st.sampled_from([" AND ", "\n  AND ", " -- and AND so on\nand "]),
    st.integers(0, 19),
    st.booleans(),
)
def test_the_parts_hold_together_exactly_when_the_condition_holds(
    atoms: list[str], joint: str, number: int, brackets: bool
) -> None:
    text = joint.join(atoms)
    asked = campaign("news", audience=f"({text}\n)" if brackets else text)
    parts = condition_parts(SHOP, asked, person(number))
    assert len(parts) == len(atoms)
    whole = SHOP.execute(
        f"""SELECT ({text}\n) FROM (SELECT *, getvariable('as_of')::TIMESTAMP AS as_of
            FROM profiles.golden_profiles) WHERE customer_id = ?""",
        [person(number)],
    ).fetchall()[0][0]
    assert bool(whole) == all(part.holds for part in parts)


SHOP = make_shop(20)
