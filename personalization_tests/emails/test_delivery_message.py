"""Messages: what the standard library reads back from them is what was rendered."""

import email
import email.policy
import json
import re
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from personalization_assets.emails.delivery.message import Mail, MessageError, address_of, build
from personalization_tests.emails.conftest import Shop

DATE = datetime(2026, 6, 15, 9, 30)
HEADERS = {
    "From": '"Alder & Finch" <hello@shop.example.com>',
    "Message-ID": "<0@shop.example.com>",
    "List-Unsubscribe": "<https://shop.example.com/mail/unsubscribe?m=1&k=2&s=3>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}


def mail(**changes: object) -> Mail:
    values = {
        "send_id": "0123456789abcdef" * 2,
        "to_email": "ann@example.com",
        "subject": "Hello",
        "html": "<p>Hello</p>\n",
        "text": "Hello\n",
        "headers": json.dumps(HEADERS | dict(changes.pop("headers", {}))),  # type: ignore[call-overload]
        "date": DATE,
    }
    return Mail(**(values | changes))  # type: ignore[arg-type]


def read(message: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def body(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    assert part is not None
    assert not part.defects
    assert part.get_content_charset() == "utf-8"
    return part.get_payload(decode=True).decode()  # type: ignore[union-attr]


def broken_alike(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


PIECES = [
    *("\n", "\r", "\r\n", ".\n", "\n..", " \n", "\t\n", "=", "=\n", "=3D", "\0", "\x0c", "\x85"),
    *("a" * 75 + " \n", "b" * 74 + "\t\n", "ü" * 40, "x" * 3000, "\u2028", "🛒", "שלום"),
    *("\n--=_0123456789abcdef0123456789abcdef--\n", "From here\n", "=?utf-8?q?x?="),
]
ODD = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(PIECES),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(subject=ODD, text=ODD, html=ODD, name=st.text(max_size=80))
@example(subject=" a  b ", text="a" * 75 + " ", html="." * 200, name='"; Bcc: x@example.com')
@example(subject="", text="", html="", name="=?utf-8?q?x?=")
def test_a_parser_reads_back_what_was_written(
    subject: str, text: str, html: str, name: str
) -> None:
    name = re.sub(r'[\x00-\x1f\x7f-\x9f\u2028\u2029"<>\\]', " ", name)
    name = " ".join(name.split()) or "Shop"
    source = mail(
        subject=subject, text=text, html=html, headers={"From": f'"{name}" <hello@example.com>'}
    )
    message = build(source)
    assert message == build(source)
    head, _, rest = message.partition(b"\r\n\r\n")
    for line in rest.split(b"\r\n"):
        assert len(line) <= 76
        assert not re.search(rb"[^\x20-\x7e\t]", line)
        assert not line.endswith((b" ", b"\t"))
    assert re.fullmatch(rb"[\x20-\x7e\r\n]+", head)
    assert max(len(line) for line in head.split(b"\r\n") if b"List-" not in line) <= 78
    parsed = read(message)
    assert body(parsed, "plain") == broken_alike(text)
    assert body(parsed, "html") == broken_alike(html)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert (
        parsed["Subject"].encode()
        == re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", subject).encode()
    )
    assert parsed["From"].addresses[0].addr_spec == "hello@example.com"
    # Python 3.11 puts a space between encoded words of a name, where RFC 2047 has none.
    read_name = parsed["From"].addresses[0].display_name
    assert read_name.replace(" ", "") == name.replace(" ", "")
    assert sorted(parsed.keys()) == sorted(
        [*HEADERS, "Date", "To", "Subject", "MIME-Version", "Content-Type"]
    )


def test_headers_are_the_mails_own_and_the_date_is_not_now() -> None:
    parsed = read(build(mail()))
    assert parsed["Date"].datetime == DATE.replace(tzinfo=UTC)
    assert parsed["To"] == "ann@example.com"
    for name, value in HEADERS.items():
        assert parsed[name] == value.replace('"', "")


@pytest.mark.parametrize("name", ["Bcc", "to", "Content-Type", "X: y", "X\r\nBcc", "", "Ü"])
def test_a_header_that_is_not_a_campaigns_is_refused(name: str) -> None:
    with pytest.raises(MessageError):
        build(mail(headers={name: "x"}))


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028"])
def test_no_value_begins_another_header(break_: str) -> None:
    evil = f"a{break_}Bcc: victim@example.com"
    message = build(mail(subject=evil, headers={"X-Campaign": evil}))
    assert read(message)["Bcc"] is None
    assert not re.search(rb"(?mi)^bcc:", message)
    for address in (f"ann@example.com{break_}Bcc: x@example.com", "a@b.com, c@d.com", "<a@b.com>"):
        with pytest.raises(MessageError, match="malformed"):
            build(mail(to_email=address))


def test_foreign_domains_become_punycode_and_foreign_names_need_smtputf8() -> None:
    found = address_of("ann@bücher.example.com")
    assert (found.text, found.needs_smtputf8) == ("ann@xn--bcher-kva.example.com", False)
    found = address_of("anné@bücher.example.com")
    assert (found.text, found.needs_smtputf8) == ("anné@xn--bcher-kva.example.com", True)
    assert b"\r\nTo: ann\xc3\xa9@xn--bcher-kva.example.com\r\n" in build(
        mail(to_email="anné@bücher.example.com")
    )
    for wrong in ("", "ann", "@example.com", "a b@example.com", "a" * 65 + "@example.com", "ü@"):
        with pytest.raises(MessageError):
            address_of(wrong)
    with pytest.raises(MessageError, match="sender"):
        build(mail(headers={"From": "anné@example.com"}))


def test_the_shops_mails_are_messages(shop: Shop) -> None:
    rows = shop.rows(
        "SELECT send_id, to_email, subject, html, text, headers, as_of FROM emails.batches"
        " WHERE status = 'rendered'"
    )
    assert rows
    for source in (Mail(*row) for row in rows):
        parsed = read(build(source))
        assert body(parsed, "html") == broken_alike(source.html)
        assert parsed["Subject"] == source.subject
        assert parsed["Message-ID"] == json.loads(source.headers)["Message-ID"]
