"""Keys of the service: who may ask for what.

A key reads `pz_<id>_<secret>`. The secret has 256 random bits and is shown once; the file keeps its
SHA-256 only. A slow hash would add nothing: such a secret can't be guessed from a list of words.
"""

import datetime as dt
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from personalization_assets.errors import UserError
from personalization_assets.settings import Settings

SCOPES = ("recommendations", "profile", "preferences", "metrics")
"""What a key may be for; each endpoint asks for one of them."""

PREFIX = "pz"
NO_SECRET = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Key:
    """A key as it is kept. Times are UTC, in ISO 8601."""

    id: str
    name: str
    scopes: tuple[str, ...]
    sha256: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None
    rate_limit: str | None = None

    def state(self, now: dt.datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at:
            return "revoked"
        expired = self.expires_at and dt.datetime.fromisoformat(self.expires_at) <= now
        return "expired" if expired else "active"


def keys_file(settings: Settings) -> Path:
    """Where keys are kept: with the platform's other secrets, never in the warehouse."""
    return settings.data_dir / ".secret" / "service_keys.json"


class KeyFile:
    """The keys of a file. What another process changed in it counts from the next look on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def all(self) -> list[Key]:
        """Every key ever made, oldest first."""
        self._look()
        return list(self._keys.values())

    def find(self, presented: str) -> Key | None:
        """The key that a caller presents, whatever its state; None if there is no such key.

        Takes as long for an unknown id as for a wrong secret.
        """
        self._look()
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id) if prefix == PREFIX else None
        given = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        matches = hmac.compare_digest(given, key.sha256 if key else NO_SECRET)
        return key if matches and secret else None

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        now: dt.datetime,
        expires_at: dt.datetime | None = None,
        rate_limit: str | None = None,
    ) -> tuple[Key, str]:
        """A new key, and the text that its owner has to keep: it can't be shown again.

        Raises:
            UserError: the name is taken by a key in use, a scope is unknown, or the key would have
                expired already.
        """
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            wrong = f"there is no scope {unknown[0]!r}" if unknown else "it has no scope"
            raise UserError(f"No key was made: {wrong}; scopes are {', '.join(SCOPES)}.")
        if not name.strip():
            raise UserError("No key was made: --name must say who uses it.")
        if expires_at and expires_at <= now:
            raise UserError("No key was made: --expires lies in the past.")
        secret = secrets.token_urlsafe(32)
        with self._changing():
            if any(k.name == name and k.state(now) == "active" for k in self._keys.values()):
                raise UserError(
                    f"A key named {name!r} is in use: choose another name, or revoke it first."
                )
            key = Key(
                _new_id(self._keys),
                name,
                tuple(s for s in SCOPES if s in scopes),
                hashlib.sha256(secret.encode()).hexdigest(),
                now.isoformat(timespec="seconds"),
                expires_at.isoformat(timespec="seconds") if expires_at else None,
                rate_limit=rate_limit,
            )
            self._keys[key.id] = key
        return key, f"{PREFIX}_{key.id}_{secret}"

    def revoke(self, id_or_name: str, now: dt.datetime) -> Key:
        """End a key; the service knows with its next request.

        Raises:
            UserError: no key in use has this id or name.
        """
        with self._changing():
            for key in self._keys.values():
                if id_or_name in (key.id, key.name) and not key.revoked_at:
                    ended = replace(key, revoked_at=now.isoformat(timespec="seconds"))
                    self._keys[key.id] = ended
                    return ended
            raise UserError(
                f"No key in use has the id or name {id_or_name!r}: `personalize serve keys list` "
                "shows all."
            )

    def _look(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._keys = {key.id: key for key in _read(self._path)}
            self._seen = seen

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One writer at a time; readers see the file before or after the change."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._look()
            yield
            fresh = self._path.with_suffix(".tmp")
            text = json.dumps([asdict(key) for key in self._keys.values()], indent=1)
            with os.fdopen(
                os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
            ) as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._path)


def _read(path: Path) -> list[Key]:
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return [Key(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path} is not a list of keys ({type(error).__name__}): restore it from a copy, or "
            "delete it and make new keys."
        ) from None


def _new_id(taken: dict[str, Key]) -> str:
    while True:
        key_id = secrets.token_hex(4)
        if key_id not in taken:
            return key_id
