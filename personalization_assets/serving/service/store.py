"""The publication that answers are made of now, and its exchange for the next one.

A request takes the publication once, at its start, and keeps it to its end: it never sees half of
each, and the old one is closed when the last request that uses it is done. The next one is read on
a thread beside the requests, of the same priority: a thread that is nicer than the others, and has
to wait for the processor while it holds the interpreter's lock, holds up everybody. A file that
can't be read changes nothing for them: the old publication goes on, and health and metrics say so.
"""

import asyncio
import contextlib
import gc
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from personalization_assets.errors import UserError
from personalization_assets.serving.service.loading import load
from personalization_assets.serving.service.logs import place_of, say, warn
from personalization_assets.serving.service.metrics import Metrics
from personalization_assets.serving.service.publication import Identity, Publication, identity_of
from personalization_assets.serving.settings import ServingSettings

REST = 2.0
"""Reading takes three times as long while there is somebody to answer, and a third of a core"""


@dataclass(frozen=True)
class Refusal:
    """A file that could not be used, and why, in a sentence."""

    identity: Identity | None
    sentence: str


class Store:
    """Holds the current publication of a path, and looks for the next one."""

    def __init__(self, path: Path, settings: ServingSettings, metrics: Metrics) -> None:
        self._path = path
        self._settings = settings
        self._metrics = metrics
        self.current: Publication | None = None
        self.refused: Refusal | None = None

    async def watch(self) -> None:
        """Look for a new publication again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._settings.reload_seconds)

    def close(self) -> None:
        """Give back what was kept from the garbage collector."""
        gc.unfreeze()

    async def look(self) -> None:
        """Take the file of the path into use if it is another than the last one looked at."""
        try:
            identity = identity_of(self._path)
        except OSError:
            identity = None
        if identity is None and self.current is not None:
            return  # taken away; what was read from it is still good
        if self.current is not None and identity == self.current.identity:
            return
        if self.refused is not None and identity == self.refused.identity:
            return
        started = time.perf_counter()
        try:
            rest = REST if self.current else 0.0
            publication = await _beside_requests(self._path, self._settings, rest)
        except Exception as error:
            self._refuse(identity, error)
            return
        self.current, self.refused = publication, None
        # The collector would go through the catalogue, and through every library, again and again:
        # 60 to 80 ms each time, in which nobody is answered.
        gc.freeze()
        seconds = time.perf_counter() - started
        self._metrics.loaded(publication, seconds)
        say(
            "publication in use",
            published_at=publication.published_at.isoformat(),
            model_version=publication.model_version,
            customers=len(publication.customers),
            seconds=round(seconds, 2),
        )

    def _refuse(self, identity: Identity | None, error: Exception) -> None:
        # Messages of DuckDB may quote a value; the kind of the error is enough to go on.
        why = "is broken or half-written"
        if isinstance(error, duckdb.BinderException | duckdb.CatalogException):
            why = "was published by another version of the platform than this service"
        sentence = (
            str(error)
            if isinstance(error, UserError)
            else f"The publication {self._path} can't be used: it {why} ({type(error).__name__}); "
            "publish it anew with `personalize run`."
        )
        self.refused = Refusal(identity, sentence)
        self._metrics.refused()
        warn("publication refused", sentence=sentence, error=place_of(error))


async def _beside_requests(path: Path, settings: ServingSettings, rest: float) -> Publication:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Publication] = loop.create_future()

    def finish(publication: Publication | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        elif publication is not None:
            done.set_result(publication)

    def work() -> None:
        publication, failed = None, None
        try:
            publication = load(path, settings, rest)
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the service has ended meanwhile
            loop.call_soon_threadsafe(finish, publication, failed)

    threading.Thread(target=work, name="publication", daemon=True).start()
    return await done
