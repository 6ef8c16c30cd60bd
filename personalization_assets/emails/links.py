"""Links in a mail: tags for the shop's analytics, and signed links that act for one person.

A signed link is the address with its query in full, then `k` (key id) and `s` (HMAC-SHA256 of all
before it, URL-safe base64). The signature covers the unescaped address; escaping for HTML comes
last. Links carry the send id, never an address.
"""

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import urlencode

from personalization_assets.errors import UserError

SECRET_VARIABLE = "PERSONALIZE_LINK_SECRET"


class Signer:
    """Signs and verifies links with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.key_id = hashlib.sha256(b"key id\0" + secret).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"Signer(key_id={self.key_id!r})"

    def _mac(self, text: str) -> str:
        digest = hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def link(self, url: str, **query: str) -> str:
        """`url` with the query, the key id and the signature."""
        full = url + ("&" if "?" in url else "?") + urlencode({**query, "k": self.key_id})
        return f"{full}&s={self._mac(full)}"

    def verify(self, url: str) -> bool:
        """Whether a signed link is one of ours and unchanged."""
        full, _, signature = url.rpartition("&s=")
        return bool(full) and hmac.compare_digest(self._mac(full), signature)


def load_signer(secret_file: Path) -> Signer:
    """A signer from `PERSONALIZE_LINK_SECRET`, else from a file that is made once for this
    installation (readable by its owner only).

    Raises:
        UserError: the variable is shorter than 16 characters, or the file is empty.
    """
    given = os.environ.get(SECRET_VARIABLE, "")
    if given:
        if len(given) < 16:
            raise UserError(
                f"{SECRET_VARIABLE} is shorter than 16 characters: use a long random text, such as "
                f"the output of `openssl rand -hex 32`."
            )
        return Signer(given.encode())
    secret_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = secret_file.read_bytes().strip()
    else:
        secret = secrets.token_hex(32).encode()
        with os.fdopen(handle, "wb") as out:
            out.write(secret)
    if not secret:
        raise UserError(f"{secret_file} is empty: remove it, or set {SECRET_VARIABLE}.")
    return Signer(secret)
