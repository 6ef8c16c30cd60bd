"""From live to cached to popular: the best list that can be given in time.

A live list is scored on a bounded number of threads. When it is late it is given up: the answer
comes from the published list, and what the thread finds later is thrown away. When too many are
waiting already, nobody waits. A customer whom we know gets a list whatever happens.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from personalization_assets.serving.service import choosing
from personalization_assets.serving.service.choosing import Asked, Choice, Rules
from personalization_assets.serving.service.logs import place_of, warn
from personalization_assets.serving.service.metrics import Metrics
from personalization_assets.serving.service.publication import Publication
from personalization_assets.serving.service.schemas import ServedBy
from personalization_assets.serving.settings import ServingSettings


@dataclass(frozen=True)
class Found:
    """Products, where they came from, and why not from further up the ladder."""

    choices: list[Choice]
    served_by: ServedBy
    fallback: str | None


class Ladder:
    """Answers requests for a customer's products, step by step until there is an answer."""

    def __init__(self, settings: ServingSettings, rules: Rules, metrics: Metrics) -> None:
        self._settings = settings
        self._rules = rules
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(settings.scoring_threads, "scoring")
        self._places = threading.Semaphore(settings.scoring_threads + settings.scoring_queue)

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def recommend(self, publication: Publication, asked: Asked) -> Found:
        """Products for a customer; fewer than asked for only where the catalogue has no more."""
        found = await self._climb(publication, asked)
        self._metrics.listed(found.served_by, found.fallback)
        return found

    async def _climb(self, publication: Publication, asked: Asked) -> Found:
        may = choosing.allowed(publication, asked)
        cause = None
        if asked.customer < 0:
            cause = "unknown_customer"
        elif not publication.agreed[asked.customer]:
            cause = "no_consent"
        if cause:
            best = choosing.popular(publication, asked.n, may, asked.category)
            return Found(best, "popular", cause)
        listed = choosing.published(publication, asked, may)
        live: list[Choice] = []
        if self._settings.live == "always" or asked.has_context or len(listed) < asked.n:
            live, cause = await self._live(publication, asked, may)
        choices = choosing.filled(asked.n, live, listed)
        if len(choices) < asked.n:
            best = choosing.popular(publication, asked.n, may, asked.category)
            choices = choosing.filled(asked.n, choices, best)
        if live:
            return Found(choices, "live", None)
        if listed:
            return Found(choices, "cached", cause)
        return Found(choices, "popular", cause or "no_list")

    async def _live(
        self, publication: Publication, asked: Asked, may: object
    ) -> tuple[list[Choice], str | None]:
        """The live list, or why there is none."""
        if publication.scorer is None:
            return [], "no_model"
        if not self._settings.time_limit_ms:
            return [], "switched_off"
        if not self._places.acquire(blocking=False):
            return [], "busy"
        try:
            work = self._threads.submit(choosing.scored, publication, asked, self._rules, may)
        except BaseException:
            self._places.release()
            raise
        work.add_done_callback(_releasing(self._places))
        try:
            choices = await asyncio.wait_for(
                asyncio.wrap_future(work), self._settings.time_limit_ms / 1000
            )
        except TimeoutError:
            return [], "late"
        except Exception as error:
            warn("live list failed", error=place_of(error))
            return [], "failed"
        return choices, None if choices else "nothing_to_score"


def _releasing(places: threading.Semaphore) -> Callable[[Future[list[Choice]]], None]:
    def release(_: Future[list[Choice]]) -> None:
        places.release()

    return release
