"""A customer is taken apart and together by decisions that the next run obeys."""

import pytest

from personalization_tests.identity.stewardship.conftest import Shop

ANNA = ("anna1", "anna2", "anna3", "anna4", "anna5")
JONAS = ("jonas1", "jonas2", "jonas3")


def undo(output: str) -> str:
    """The name that the command says undoes it."""
    return output.split("personalize identity withdraw ")[1].split()[0]


def test_a_split_parts_duplicates_accounts_and_mailboxes_and_can_be_taken_back(shop: Shop) -> None:
    assert shop.customers(*ANNA) == [set(ANNA)]
    customer = shop.customer("anna1")
    out = {"anna2", "anna4", "anna5"}  # an exact duplicate, an account's bare record, a mailbox
    done = shop.run(
        "split", customer, "--records", "crm/anna2,crm/anna4", "--records", "mails/anna5",
        "--reason", "mother and daughter", "--author", "steward",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "personalize run --select" in done.output
    shop.relink("2026-11-02")
    assert shop.customers(*ANNA) == [set(ANNA) - out, out]
    assert customer in {shop.customer("anna1"), shop.customer("anna2")}

    assert shop.run("withdraw", undo(done.output)).exit_code == 0
    shop.relink("2026-11-03")
    assert shop.customers(*ANNA) == [set(ANNA)]
    told = shop.rows(
        "SELECT event, records FROM identity.ledger WHERE event <> 'create' ORDER BY as_of"
    )
    assert [event for event, _ in told] == ["split", "merge"]


def test_a_merge_joins_what_has_nothing_in_common_and_can_be_taken_back(shop: Shop) -> None:
    # Even what the shop says that a person has one of: a decision counts more.
    (shop.folder / "settings.yaml").write_text("identity: {one_per_person: {'*': [account_key]}}")
    both = (*ANNA, *JONAS)
    apart = [set(ANNA), set(JONAS)]
    assert shop.customers(*both) == apart
    one, other = shop.customer("anna1"), shop.customer("jonas1")
    done = shop.run("merge", one, other, "--reason", "one person, two accounts")
    assert done.exit_code == 0
    shop.relink("2026-11-02")
    assert shop.customers(*both) == [set(both)]
    again = shop.run("merge", one, other)
    assert again.exit_code == 1
    assert "are one customer already" in again.output
    assert (
        "lives on as" in shop.run("explain", ({one, other} - {shop.customer("anna1")}).pop()).output
    )

    assert shop.run("withdraw", undo(done.output)).exit_code == 0
    shop.relink("2026-11-03")
    assert shop.customers(*both) == apart


def test_a_merge_overrules_an_earlier_split(shop: Shop) -> None:
    customer = shop.customer("anna1")
    shop.run("split", customer, "--records", "crm/anna2")
    shop.relink("2026-11-02")
    assert shop.run("merge", shop.customer("anna1"), shop.customer("anna2")).exit_code == 0
    shop.relink("2026-11-03")
    assert shop.customers(*ANNA) == [set(ANNA)]


def test_a_decision_on_two_records_binds_and_is_listed(shop: Shop) -> None:
    assert len(shop.customers("eva", "paul")) == 2
    done = shop.run("decide", "crm/eva", "crm/paul", "same", "--author", "steward")
    assert done.exit_code == 0
    shop.relink("2026-11-02")
    assert len(shop.customers("eva", "paul")) == 1
    assert "decided already" in shop.run("decide", "crm/paul", "crm/eva", "same").output
    listed = shop.run("decisions").output
    assert "crm/eva" in listed
    assert "steward" in listed
    told = shop.run("explain", "crm/eva", "crm/paul", "--table").output
    assert "A person decided that these are the same person" in told


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ("crm/jonas1", "do not belong to the customer"),
        ("crm/anna1,crm/anna2,crm/anna3,crm/anna4,mails/anna5", "some to stay"),
        (",", "some to stay"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(shop: Shop, records: str, sentence: str) -> None:
    refused = shop.run("split", shop.customer("anna1"), "--records", records)
    assert refused.exit_code == 1
    assert sentence in refused.output
    assert not (shop.folder / "identity_decisions.csv").exists()
