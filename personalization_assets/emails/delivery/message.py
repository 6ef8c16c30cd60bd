"""A rendered mail as the bytes that a mail server takes (RFC 5322, RFC 2045 to 2047).

The standard library's `EmailMessage` takes 2.4 ms a mail, so the bytes are put together here; the
tests read them back with its parser. The same mail gives the same bytes: the date is the mail's
own, and the boundary comes from the send id.
"""

import json
import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
PLAIN_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
)
NAME = re.compile(r"[!-9;-~]+")
MAILBOX = re.compile(r'\s*"?(?P<name>[^"<>]*?)"?\s*<(?P<address>[^<>\s]+)>\s*')
WHITE_ENDS = (b"=20\r\n", b"=09\r\n")
LINE_BYTES = 76
OURS = {"to", "cc", "bcc", "subject", "date", "mime-version", "sender", "return-path"}
NEEDED = ("From", "Message-ID")
WORD_BYTES = 39
"""UTF-8 bytes of an encoded word: with `Subject: ` before it the line stays below 76."""
LONGEST_LINE, LONGEST_ADDRESS, LONGEST_LOCAL = 998, 254, 64


class MessageError(ValueError):
    """A mail that cannot be written as a message; says why, without the mail's data."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a message is made of; `date` in UTC, `headers` a JSON object."""

    send_id: str
    to_email: str
    subject: str
    html: str
    text: str
    headers: str
    date: datetime


@dataclass(frozen=True, slots=True)
class Address:
    """An address as a server takes it. With letters beyond ASCII before the @ it can only go to a
    server that offers SMTPUTF8 (RFC 6531); a domain with such letters is in punycode."""

    text: str
    needs_smtputf8: bool = False


def mail_of(row: Mapping[str, Any], as_of: datetime) -> Mail:
    """The mail in a row of emails.batches with its `send_at`; without one it is dated `as_of`."""
    return Mail(
        row["send_id"],
        row["to_email"],
        row["subject"],
        row["html"],
        row["text"],
        row["headers"],
        row["send_at"] or as_of,
    )


def build(mail: Mail) -> bytes:
    """The message, lines ending in CRLF: multipart/alternative, plain text first, both parts
    UTF-8 in quoted-printable.

    Raises:
        MessageError: an address is malformed, a header is missing or has no place in a message.
    """
    headers = _headers(mail.headers)
    boundary = f"=_{mail.send_id}"  # never in quoted-printable, where = is followed by hex digits
    date = format_datetime(mail.date.replace(tzinfo=UTC))
    lines = [
        f"Date: {date}",
        f"From: {_mailbox(headers.pop('From'))}",
        f"To: {address_of(mail.to_email).text}",
        f"Subject: {encode_words(mail.subject)}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
    ]
    head = "\r\n".join(lines).encode()
    if len(head) > LONGEST_LINE and any(len(x) > LONGEST_LINE for x in head.split(b"\r\n")):
        raise MessageError("a header is longer than the 998 bytes that a line may have")
    bar = f"\r\n--{boundary}".encode()
    part = (
        b"\r\nContent-Type: text/%s; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return b"".join(
        (
            head,
            b"\r\n",
            bar,
            part % b"plain",
            quoted_printable(mail.text),
            bar,
            part % b"html",
            quoted_printable(mail.html),
            bar,
            b"--\r\n",
        )
    )


def quoted_printable(text: str) -> bytes:
    """Text in lines of at most 76 bytes; any kind of line break becomes CRLF."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    # With a line break at the end, b2a_qp knows which kind to use for its soft ones.
    coded = b2a_qp(text.replace("\n", "\r\n").encode() + b"\r\n")
    if any(end in coded for end in WHITE_ENDS):
        # Where a full line ends in white space, b2a_qp writes more than RFC 2045 allows.
        lines = coded.split(b"\r\n")
        coded = b"\r\n".join(
            x if len(x) <= LINE_BYTES else x[:-3] + b"=\r\n" + x[-3:] for x in lines
        )
    return coded[:-2]


def encode_words(text: str) -> str:
    """A header's text: as it is if it is short ASCII, else in encoded words of UTF-8."""
    text = CONTROL.sub(" ", text)
    if text.isascii() and len(text) <= 67 and "=?" not in text and text == text.strip():
        return text
    words, word = [], b""
    for letter in text:
        code = letter.encode()
        if len(word) + len(code) > WORD_BYTES:
            words.append(word)
            word = b""
        word += code
    return "\r\n ".join(f"=?utf-8?b?{b64encode(w).decode()}?=" for w in [*words, word])


def address_of(email: str) -> Address:
    """How a server is told an address.

    Raises:
        MessageError: it is not an address that a mail can go to.
    """
    email = email.strip()
    if len(email) > LONGEST_ADDRESS or len(email.rpartition("@")[0]) > LONGEST_LOCAL:
        raise MessageError("the address is too long")
    if PLAIN_ADDRESS.fullmatch(email):
        return Address(email)
    if email.isascii():
        raise MessageError("the address is malformed")
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(email, check_deliverability=False)
    except EmailNotValidError:
        raise MessageError("the address is malformed") from None
    return Address(f"{found.local_part}@{found.ascii_domain}", found.smtputf8)


def sender_of(email: str) -> str:
    """How a server is told the sender's address.

    Raises:
        MessageError: it is not an address, or not every server would take it.
    """
    sender = address_of(email)
    if sender.needs_smtputf8:
        raise MessageError("the sender's address has letters beyond ASCII before the @")
    return sender.text


def _headers(text: str) -> dict[str, str]:
    """The mail's further headers, fit for a message. None of them can begin another one."""
    headers: dict[str, str] = json.loads(text)
    for name in NEEDED:
        if not headers.get(name):
            raise MessageError(f"there is no header {name}")
    for name, value in headers.items():
        if not NAME.fullmatch(name) or name.lower() in OURS or name.lower().startswith("content-"):
            raise MessageError("a header has a name that a campaign cannot set")
        if not value.isascii() or not value.isprintable():
            value = CONTROL.sub(" ", value)
            headers[name] = value if value.isascii() or name == "From" else encode_words(value)
    return headers


@lru_cache(maxsize=256)
def _mailbox(text: str) -> str:
    """The sender: `name <address>`, the name in encoded words where it is not ASCII."""
    found = MAILBOX.fullmatch(text)
    name, address = (found["name"], found["address"]) if found else ("", text)
    sender = sender_of(address)
    if not name:
        return sender
    plain = name.isascii() and len(name) <= 60 and "=?" not in name
    if plain:
        escaped = name.replace("\\", "\\\\")
        return f'"{escaped}" <{sender}>'
    return f"{encode_words(name)}\r\n <{sender}>"
