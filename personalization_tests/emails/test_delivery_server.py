"""What a mail server may do to a connection, and what that means for a mail."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from personalization_assets.emails.delivery.message import Address
from personalization_assets.emails.delivery.settings import DeliverySettings
from personalization_assets.emails.delivery.smtp import Connection, Message
from personalization_tests.emails.delivery_shop import Handler, Shop, free_port, make_certificate

PASSWORD = "correct horse battery"


@contextmanager
def scripted(answers: dict[bytes, bytes]) -> Iterator[int]:
    """A server that answers by the first letters of a line, `.` for a mail's end; where the answer
    is empty it hangs up. Gives its port."""
    usual = dict.fromkeys((b"ehlo", b"mail", b"rcpt", b"rset", b"quit", b"."), b"250 fine\r\n")
    said = usual | {b"data": b"354 go on\r\n"} | answers

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                peer.sendall(b"220 hello\r\n")
                for line in lines:
                    answer = said.get(b"." if line == b".\r\n" else line[:4].lower())
                    if answer == b"":
                        break
                    peer.sendall(answer or b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def settings(port: int, **more: Any) -> DeliverySettings:
    return DeliverySettings(host="127.0.0.1", port=port, security="none", timeout_seconds=5, **more)


MESSAGE = Message("shop@example.com", Address("ann@example.com"), b"Subject: x\r\n\r\n.hi\r\n")


@pytest.mark.parametrize(
    ("answers", "status", "code", "about_recipient", "is_open"),
    [
        ({}, "sent", 250, False, True),
        ({b".": b""}, "uncertain", None, False, False),
        ({b".": b"whatever\r\n"}, "uncertain", None, False, False),
        ({b".": b"452 full\r\n"}, "deferred", 452, False, True),
        ({b".": b"554 spam\r\n"}, "refused", 554, False, True),
        ({b".": b"421 going down\r\n"}, "deferred", 421, False, False),
        ({b"data": b""}, "deferred", None, False, False),
        ({b"data": b"250 what?\r\n"}, "deferred", 250, False, True),
        ({b"rcpt": b"550-no\r\n550 such user\r\n"}, "refused", 550, True, True),
        # What it said of the mail holds, also where it hangs up at once.
        ({b"rcpt": b"550 no such user\r\n", b"rset": b""}, "refused", 550, True, False),
        ({b"mail": b"553 not you\r\n"}, "refused", 553, False, True),
        ({b"mail": b"\xff\r\n"}, "deferred", None, False, False),
    ],
)
def test_an_answer_decides_about_the_mail_and_the_connection(
    answers: dict[bytes, bytes],
    status: str,
    code: int | None,
    about_recipient: bool,
    is_open: bool,
) -> None:
    with scripted(answers) as port:
        connection = Connection(settings(port), None)
        outcome = connection.give(MESSAGE)
        assert (outcome.status, outcome.code) == (status, code)
        assert outcome.about_recipient == about_recipient
        assert connection.open == is_open
        connection.close()


ASKED_AT_ONCE = {b"ehlo": b"250-hello\r\n250 PIPELINING\r\n"}
NOT_NOW = {b"data": b"503 who to?\r\n"}


@pytest.mark.parametrize(
    ("answers", "status", "code", "about_recipient", "is_open"),
    [
        ({}, "sent", 250, False, True),
        ({b".": b""}, "uncertain", None, False, False),
        ({b".": b"554 spam\r\n"}, "refused", 554, False, True),
        ({b"mail": b""}, "deferred", None, False, False),
        ({b"data": b""}, "deferred", None, False, False),
        ({b"data": b"451 later\r\n"}, "deferred", 451, False, True),
        (NOT_NOW | {b"rcpt": b"550-no\r\n550 such user\r\n"}, "refused", 550, True, True),
        (
            NOT_NOW | {b"mail": b"553 not you\r\n", b"rcpt": b"503 no\r\n"},
            "refused",
            553,
            False,
            True,
        ),
        (NOT_NOW | {b"rcpt": b"450 busy\r\n"}, "deferred", 450, False, True),
        # It hangs up after its word on the mail, which holds.
        ({b"rcpt": b"550 no such user\r\n", b"data": b""}, "refused", 550, True, False),
        ({b"mail": b"421 going down\r\n", b"rcpt": b""}, "deferred", 421, False, False),
        # A server that wants a mail for nobody gets none.
        ({b"rcpt": b"550 no such user\r\n"}, "refused", 550, True, False),
    ],
)
def test_a_server_that_is_asked_at_once_decides_alike(
    answers: dict[bytes, bytes],
    status: str,
    code: int | None,
    about_recipient: bool,
    is_open: bool,
) -> None:
    with scripted(ASKED_AT_ONCE | answers) as port:
        connection = Connection(settings(port), None)
        outcome = connection.give(MESSAGE)
        assert (outcome.status, outcome.code) == (status, code)
        assert outcome.about_recipient == about_recipient
        assert connection.open == is_open
        if is_open and status == "sent":
            assert connection.give(MESSAGE) == outcome
        connection.close()


def test_a_mail_without_an_answer_is_uncertain_and_not_sent_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path, 3)
    with scripted({b".": b""}) as port:
        shop.configure(port, connections=1)
        assert "3 mails are uncertain" in shop.send()
        assert shop.statuses() == Counter(uncertain=3)
        assert "Mails due: 0" in shop.send()


def test_a_server_that_goes_away_leaves_an_account_of_what_went_out(tmp_path: Path) -> None:
    shop = Shop(tmp_path, 3)
    with scripted({b".": b"554 spam\r\n"}) as port:
        shop.configure(port, connections=1, attempts=1)
        shop.send("--limit", "2")
    shop.configure(free_port(), connections=1, attempts=1)
    said = shop.send(ok=False)
    assert "Mails due: 1. Given to the server: none." in said
    assert "cannot be used" in said
    assert shop.statuses() == Counter(refused=2)


@pytest.mark.parametrize("offered", [True, False])
def test_letters_beyond_ascii_go_only_to_servers_that_take_them(offered: bool) -> None:
    handler = Handler()
    controller = Controller(
        handler, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=offered
    )
    controller.start()
    try:
        connection = Connection(settings(controller.port), None)
        outcome = connection.give(
            Message("shop@example.com", Address("anné@example.com", True), MESSAGE.data)
        )
        plain = connection.give(MESSAGE)
        connection.close()
    finally:
        controller.stop()
    assert plain.status == "sent"
    sent = [("anné@example.com", MESSAGE.data)] if offered else []
    assert handler.taken == [*sent, ("ann@example.com", MESSAGE.data)]
    if offered:
        assert outcome.status == "sent"
    else:
        assert outcome.status == "refused"
        assert "SMTPUTF8" in outcome.answer


def test_encrypted_and_logged_in_or_not_at_all(
    tmp_path: Path,
) -> None:
    shop, handler = Shop(tmp_path, 5), Handler()
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def authenticate(server: Any, session: Any, envelope: Any, how: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (b"shop", PASSWORD.encode())
        return AuthResult(success=good, handled=good)

    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    controller.start()
    try:
        safe: dict[str, object] = {"security": "starttls", "username": "shop", "attempts": 1}
        shop.configure(controller.port, **safe)
        said = shop.send(ok=False, PERSONALIZE_SMTP_PASSWORD=PASSWORD)
        assert "is not trusted" in said
        shop.configure(controller.port, ca_file=str(certificate), **safe)
        assert "PERSONALIZE_SMTP_PASSWORD is not" in shop.send(ok=False)
        said = shop.send(ok=False, PERSONALIZE_SMTP_PASSWORD="wrong horse")
        assert "refuses the username or password" in said
        assert "horse" not in said
        assert not handler.taken
        shop.send(PERSONALIZE_SMTP_PASSWORD=PASSWORD)
        assert len(handler.taken) == 5
        for file in shop.folder.rglob("*"):
            assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
    finally:
        controller.stop()
