"""One dirty file of contacts from the row as received to the verdict."""

import datetime as dt

import polars as pl
from polars.testing import assert_frame_equal

from personalization_assets.contracts import contract_of
from personalization_assets.standardized.contracts import CrmContacts
from personalization_assets.standardized.entities import SourceContext, standardise
from personalization_assets.standardized.quarantine import plain_reasons

AS_OF = dt.datetime(2026, 10, 20)
SOURCE = SourceContext(
    "crm", time_zone="Europe/Berlin", date_order="dmy", country="DE", account_system="shop"
)
COLUMNS = ["contact_id", "account_key", "given_name", "family_name", "email", "phone"]
COLUMNS += ["birth_date", "gender", "country", "language", "email_opt_in", "created_at"]
ROWS = [
    [
        "1",
        "12346.0",
        "ANNA",
        "VON DYK",
        " Anna@Example.COM",
        "0170 1234567",
        "01.02.1980",
        "w",
        "Allemagne",
        "de-DE",
        "ja",
        "05.01.2024 10:00",
    ],
    # Everything optional is wrong: the row stays, with flags.
    [
        "2",
        None,
        "Bob",
        "Smith",
        "bob@",
        "12",
        "31.02.1980",
        "robot",
        "Mars",
        "xx",
        "maybe",
        "01.01.2030",
    ],
    # Nobody.
    ["3", None, "n/a", None, "-", None, None, None, None, None, None, None],
    # No key.
    [None, None, "Eve", None, None, None, None, None, None, None, None, None],
    # The key again.
    ["1", None, "Anna", None, None, None, None, None, None, None, None, None],
    # Born before 1900 is a placeholder.
    ["6", None, "Old", "Man", None, None, "01.01.1900", None, None, None, None, None],
]


def raw() -> pl.DataFrame:
    frame = pl.DataFrame(ROWS, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    return frame.with_columns(
        _batch_id=pl.lit("b"),
        _row_key=pl.format("b:{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(9)),
    )


def test_a_good_row_is_typed_and_normalised() -> None:
    row = standardise("crm_contacts", raw(), SOURCE, AS_OF, "EUR").row(0, named=True)
    expected = {
        "source": "crm",
        "contact_id": "1",
        "record_id": "1",
        "account_key": "shop:12346",
        "given_name": "Anna",
        "family_name": "von Dyk",
        "full_name": "Anna von Dyk",
        "email": "anna@example.com",
        "phone": "+491701234567",
        "birth_date": dt.date(1980, 2, 1),
        "gender": "female",
        "country": "DE",
        "language": "de",
        "email_opt_in": True,
        "created_at": dt.datetime(2024, 1, 5, 9, 0),
        "updated_at": None,
        "_flags": [],
        "_failed_casts": [],
    }
    assert {k: row[k] for k in expected} == expected


def test_the_audit_keeps_what_is_odd_and_rejects_what_is_unusable() -> None:
    audit = contract_of(CrmContacts).audit(standardise("crm_contacts", raw(), SOURCE, AS_OF, "EUR"))
    assert audit.accepted["contact_id"].to_list() == ["1", "2", "6"]
    odd = audit.accepted.row(1, named=True)
    assert sorted(odd["_flags"]) == [
        "birth_date.type",
        "country.unknown",
        "created_at.future",
        "email.type",
        "email_opt_in.type",
        "gender.unknown",
        "language.unknown",
        "phone.type",
    ]
    unreadable = ("email", "phone", "birth_date", "gender", "country", "language", "created_at")
    assert all(odd[c] is None for c in unreadable)
    assert audit.accepted["_flags"][2].to_list() == ["birth_date.range"]
    assert audit.accepted["birth_date"][2] is None

    reasons = dict(
        zip(audit.rejected["_row_key"], plain_reasons(audit.rejected["reasons"]), strict=True)
    )
    assert {k: v.to_list() for k, v in reasons.items()} == {
        "b:000000003": ["contact.reachable"],
        "b:000000004": ["contact_id.required"],
        "b:000000005": ["key.unique"],
    }
    assert audit.failures["email.type"] == 1
    assert audit.failures["country.unknown"] == 1


def test_rows_do_not_depend_on_their_neighbours_or_on_the_run() -> None:
    whole = standardise("crm_contacts", raw(), SOURCE, AS_OF, "EUR")
    assert_frame_equal(whole, standardise("crm_contacts", raw(), SOURCE, AS_OF, "EUR"))
    one_by_one = pl.concat(
        standardise("crm_contacts", raw().slice(i, 1), SOURCE, AS_OF, "EUR")
        for i in range(len(ROWS))
    )
    assert_frame_equal(whole, one_by_one)


def test_reasons_that_only_follow_from_another_are_left_out() -> None:
    received = pl.Series(
        [
            ["ordered_at.required", "ordered_at.type"],
            ["currency.required", "currency.unknown", "order_id.required"],
            ["event_id.required", "row.unreadable", "occurred_at.required"],
            ["email.required", "record_id.required"],
        ]
    )
    assert plain_reasons(received).to_list() == [
        ["ordered_at.type"],
        ["currency.unknown", "order_id.required"],
        ["row.unreadable"],
        ["email.required"],
    ]
