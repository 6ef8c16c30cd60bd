"""Addresses that reach one mailbox count as one."""

import duckdb
import pytest

from personalization_assets.identity.spelling import mailbox

ADDRESSES = {
    "anna@mail.example": "anna@mail.example",
    "anna.b@mail.example": "anna.b@mail.example",
    "anna+shop@mail.example": "anna@mail.example",
    "anna.b+shop@gmail.com": "annab@gmail.com",
    "anna.b@googlemail.com": "annab@gmail.com",
    "anna.b@notgmail.com": "anna.b@notgmail.com",
    "anna@b@mail.example": "anna@b",
    "@mail.example": None,
    "+shop@mail.example": None,
    "anna@": None,
    "anna": None,
    "": None,
}


@pytest.mark.parametrize(("address", "expected"), [*ADDRESSES.items(), (None, None)])
def test_the_mailbox_of_an_address(address: str | None, expected: str | None) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE written AS SELECT ?::VARCHAR AS address", [address])
        assert con.sql(f"SELECT {mailbox('address')} FROM written").fetchall() == [(expected,)]
