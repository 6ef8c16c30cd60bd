"""Links in a mail: tags for the shop's analytics, and signed links that act for one person.

A signed link is the address with its query in full, then `k` (key id) and `s` (HMAC-SHA256 of all
before it, URL-safe base64). The signature covers the unescaped address; escaping for HTML comes
last. Links carry the send id, never an address.

Secrets can be changed without breaking links in mails that are out: the first of several secrets
signs, all of them verify, and the key id says which one it was.
"""

import hashlib
import hmac
import os
import secrets
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from personalization_assets.errors import UserError

SECRET_VARIABLE = "PERSONALIZE_LINK_SECRET"
SHORTEST = 16
URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Signer:
    """Signs links with the first secret, and verifies those of all secrets."""

    def __init__(self, secret: bytes, *former: bytes) -> None:
        self._secrets = (secret, *former)
        # A keyed object is copied for each link: keying costs more than signing.
        self._keyed = {_key_id(s): hmac.new(s, digestmod=hashlib.sha256) for s in (secret, *former)}
        self.key_id = _key_id(secret)

    def __repr__(self) -> str:
        return f"Signer(key_id={self.key_id!r})"

    def __reduce__(self) -> tuple[type["Signer"], tuple[bytes, ...]]:
        # Keyed objects can't go to another process; the processes that render mails get secrets.
        return Signer, self._secrets

    def _mac(self, text: str, key_id: str) -> str:
        mac = self._keyed[key_id].copy()
        mac.update(text.encode())
        return b2a_base64(mac.digest(), newline=False).translate(URL_SAFE, b"=").decode()

    def link(self, url: str, **query: str) -> str:
        """`url` with the query, the key id and the signature."""
        full = url + ("&" if "?" in url else "?") + urlencode({**query, "k": self.key_id})
        return f"{full}&s={self._mac(full, self.key_id)}"

    def links(self, url: str, send_ids: Sequence[str], **query: str) -> list[str]:
        """What `link(url, m=send_id, **query)` gives for each mail, several times as fast.

        Send ids are hexadecimal, so nothing of them has to be escaped.
        """
        start = url + ("&" if "?" in url else "?") + "m="
        end = "&" + urlencode({**query, "k": self.key_id})
        head = self._keyed[self.key_id].copy()
        head.update(start.encode())
        tail = end.encode()
        signed = []
        for send_id in send_ids:
            mac = head.copy()
            mac.update(send_id.encode() + tail)
            code = b2a_base64(mac.digest(), newline=False).translate(URL_SAFE, b"=").decode()
            signed.append(f"{start}{send_id}{end}&s={code}")
        return signed

    def verify(self, url: str) -> bool:
        """Whether a signed link is one of ours, of this or a former secret, and unchanged."""
        full, _, signature = url.rpartition("&s=")
        key_id = full.rpartition("k=")[2]
        return key_id in self._keyed and hmac.compare_digest(
            self._mac(full, key_id).encode(), signature.encode()
        )


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"key id\0" + secret).hexdigest()[:8]


def load_signer(secret_file: Path) -> Signer:
    """A signer from `PERSONALIZE_LINK_SECRET`, else from a file that is made once for this
    installation (readable by its owner only).

    Several secrets, the newest first, stand between commas in the variable and on lines of their
    own in the file.

    Raises:
        UserError: a secret of the variable is shorter than 16 characters, or the file is empty.
    """
    given = os.environ.get(SECRET_VARIABLE, "")
    if given:
        several = _parts(given.encode().split(b","))
        if not several or any(len(secret) < SHORTEST for secret in several):
            raise UserError(
                f"{SECRET_VARIABLE} holds a secret shorter than {SHORTEST} characters: use long "
                f"random texts, such as the output of `openssl rand -hex 32`, with commas between "
                f"several."
            )
        return Signer(*several)
    secret_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        several = _parts(secret_file.read_bytes().splitlines())
    else:
        several = [secrets.token_hex(32).encode()]
        with os.fdopen(handle, "wb") as out:
            out.write(several[0])
    if not several:
        raise UserError(f"{secret_file} is empty: remove it, or set {SECRET_VARIABLE}.")
    return Signer(*several)


def _parts(texts: Iterable[bytes]) -> list[bytes]:
    return [text.strip() for text in texts if text.strip()]
