"""One connection to a mail server, and what the server's answers mean for a mail."""

import smtplib
import socket
import ssl
from dataclasses import dataclass
from smtplib import quoteaddr

from personalization_assets.emails.delivery.journal import Outcome
from personalization_assets.emails.delivery.message import Address
from personalization_assets.emails.delivery.settings import DeliverySettings

CLOSING = 421
FINAL_SECONDS = 600.0


class NoServerError(Exception):
    """The server cannot be reached or does not let us in; a sentence for the user. `passing` says
    that trying again may help."""

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Message:
    """What is given to the server."""

    sender: str
    to: Address
    data: bytes


class Connection:
    """An open connection, encrypted and logged in as the settings say. `open` tells whether it can
    take a further mail."""

    def __init__(self, settings: DeliverySettings, password: str | None) -> None:
        self.open, self._timeout = False, settings.timeout_seconds
        host, port = settings.host, settings.used_port
        try:
            self._smtp = _connect(settings)
            if settings.username is not None:
                self._smtp.login(settings.username, password or "")
        except ssl.SSLCertVerificationError as error:
            raise NoServerError(
                f"The certificate of {host}:{port} is not trusted ({error.verify_message}): "
                "name the file of its authority in emails.delivery.ca_file."
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            raise NoServerError(
                f"{host}:{port} refuses the username or password (code {error.smtp_code}): correct "
                "emails.delivery.username or PERSONALIZE_SMTP_PASSWORD."
            ) from None
        except UnicodeError:
            raise NoServerError(
                "The mail server's username or password has letters beyond ASCII, which SMTP does "
                "not take: choose others."
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NoServerError(
                f"{host}:{port} cannot be used ({type(error).__name__}): check host, port and "
                "security below emails.delivery, and that the server is up.",
                passing=True,
            ) from None
        if self._smtp.sock is not None:
            # The end of a mail is a packet of its own, which must not wait for an acknowledgement.
            self._smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open, self.given = True, 0

    def close(self) -> None:
        """Leave politely, if the server still listens."""
        self.open = False
        try:
            self._smtp.quit()
        except (OSError, smtplib.SMTPException):
            self._smtp.close()

    def give(self, message: Message) -> Outcome:
        """Offer a mail. Never raises for what the server or the network does.

        Until the mail's last line has been sent, a lost connection means that the server has not
        taken it: `deferred`. From there on, only its answer tells; without one: `uncertain`.
        """
        self.given += 1
        try:
            outcome = self._offer(message)
        except (OSError, smtplib.SMTPException) as error:
            self.open = False
            return Outcome("deferred", None, f"no connection ({type(error).__name__})")
        if outcome is not None:
            return outcome
        try:
            self._patient()
            self._smtp.send(b".\r\n")
            code, answer = self._smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self.open = False
            return Outcome("uncertain", None, f"no answer to the mail ({type(error).__name__})")
        self._patient(False)
        return self._judge(code, answer, "sent", unclear="uncertain")

    def _patient(self, patient: bool = True) -> None:
        """How long to wait: for what becomes of a mail, longer (RFC 5321, 4.5.3.2.6)."""
        if self._smtp.sock is not None:
            longest = max(self._timeout, FINAL_SECONDS) if patient else self._timeout
            self._smtp.sock.settimeout(longest)

    def _offer(self, message: Message) -> Outcome | None:
        """Everything but the last line; an outcome where the server wants none of it."""
        options = []
        if message.to.needs_smtputf8:
            if not self._smtp.has_extn("smtputf8"):
                return Outcome(
                    "refused", None, "the address needs SMTPUTF8, which the server does not offer"
                )
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        ask = self._ask_at_once if self._smtp.has_extn("pipelining") else self._ask_one_by_one
        outcome = ask(message, options)
        if outcome is None:
            self._smtp.send(message.data.replace(b"\r\n.", b"\r\n.."))
        return outcome

    def _ask_at_once(self, message: Message, options: list[str]) -> Outcome | None:
        """Sender, recipient and `DATA` without waiting between them (RFC 2920): one way to the
        server and back instead of three."""
        words = " ".join([f"MAIL FROM:{quoteaddr(message.sender)}", *options])
        lines = f"{words}\r\nRCPT TO:{quoteaddr(message.to.text)}\r\nDATA\r\n"
        self._smtp.send(lines.encode())
        turned_down: Outcome | None = None
        for step in ("mail", "rcpt", "data"):
            try:
                code, answer = self._smtp.getreply()
            except (OSError, smtplib.SMTPException):
                if turned_down is None:
                    raise
                self.open = False
                return turned_down
            if turned_down is None and not (code == 354 if step == "data" else _fine(code)):
                turned_down = self._judge(code, answer, "deferred", step == "rcpt")
        if turned_down is not None and code == 354:
            # It waits for a mail that it does not want: only hanging up makes sure of none.
            self.open = False
        if turned_down is not None:
            self._forget_mail()
        return turned_down

    def _ask_one_by_one(self, message: Message, options: list[str]) -> Outcome | None:
        code, answer = self._smtp.mail(message.sender, options)
        if not _fine(code):
            return self._turned_down(code, answer)
        code, answer = self._smtp.rcpt(message.to.text)
        if not _fine(code):
            return self._turned_down(code, answer, about_recipient=True)
        code, answer = self._smtp.docmd("DATA")
        if code != 354:
            return self._turned_down(code, answer)
        return None

    def _turned_down(self, code: int, answer: bytes, about_recipient: bool = False) -> Outcome:
        outcome = self._judge(code, answer, "deferred", about_recipient)
        self._forget_mail()
        return outcome

    def _forget_mail(self) -> None:
        """The next mail begins anew."""
        if self.open:
            try:
                self._smtp.rset()
            except (OSError, smtplib.SMTPException):
                # What the server said of the mail holds, even if it hangs up after it.
                self.open = False

    def _judge(
        self,
        code: int,
        answer: bytes,
        fine: str,
        about_recipient: bool = False,
        unclear: str = "deferred",
    ) -> Outcome:
        """What an answer means; one that is none of SMTP's ends the connection."""
        words = " ".join(answer.decode("utf-8", "replace").split())[:500]
        if 500 <= code < 600:
            return Outcome("refused", code, words, about_recipient)
        if 400 <= code < 500:
            self.open = self.open and code != CLOSING
            return Outcome("deferred", code, words)
        if _fine(code):
            return Outcome(fine, code, words)
        self.open = False
        return Outcome(unclear, None, f"an answer that is none ({words})")


def _fine(code: int) -> bool:
    return 200 <= code < 300


def _connect(settings: DeliverySettings) -> smtplib.SMTP:
    name, timeout = socket.gethostname(), settings.timeout_seconds
    if settings.security == "none":
        smtp = smtplib.SMTP(settings.host, settings.used_port, name, timeout)
    else:
        ca = str(settings.ca_file) if settings.ca_file else None
        context = ssl.create_default_context(cafile=ca)
        if settings.security == "tls":
            smtp = smtplib.SMTP_SSL(
                settings.host, settings.used_port, name, timeout=timeout, context=context
            )
        else:
            smtp = smtplib.SMTP(settings.host, settings.used_port, name, timeout)
            smtp.starttls(context=context)
    smtp.ehlo_or_helo_if_needed()
    return smtp
