"""One connection to a mail server, and what the server's answers mean for a mail."""

import smtplib
import socket
import ssl
from dataclasses import dataclass

from personalization_assets.emails.delivery.journal import Outcome
from personalization_assets.emails.delivery.message import Address
from personalization_assets.emails.delivery.settings import DeliverySettings

CLOSING = 421


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
        self.open = False
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
            self._smtp.send(b".\r\n")
            code, answer = self._smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self.open = False
            return Outcome("uncertain", None, f"no answer to the mail ({type(error).__name__})")
        return self._judge(code, answer, "sent")

    def _offer(self, message: Message) -> Outcome | None:
        """Everything but the last line; an outcome where the server wants none of it."""
        options = []
        if message.to.needs_smtputf8:
            if not self._smtp.has_extn("smtputf8"):
                return Outcome(
                    "refused", None, "the address needs SMTPUTF8, which the server does not offer"
                )
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        code, answer = self._smtp.mail(message.sender, options)
        if code >= 400:
            return self._turned_down(code, answer)
        code, answer = self._smtp.rcpt(message.to.text)
        if code >= 400:
            return self._turned_down(code, answer, about_recipient=True)
        code, answer = self._smtp.docmd("DATA")
        if code != 354:
            return self._turned_down(code, answer)
        self._smtp.send(message.data.replace(b"\r\n.", b"\r\n.."))
        return None

    def _turned_down(self, code: int, answer: bytes, about_recipient: bool = False) -> Outcome:
        outcome = self._judge(code, answer, "deferred", about_recipient)
        if self.open:
            self._smtp.rset()
        return outcome

    def _judge(self, code: int, answer: bytes, fine: str, about_recipient: bool = False) -> Outcome:
        self.open = self.open and code != CLOSING
        words = " ".join(answer.decode("utf-8", "replace").split())[:500]
        if code >= 500:
            return Outcome("refused", code, words, about_recipient)
        return Outcome("deferred" if code >= 400 else fine, code, words)


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
