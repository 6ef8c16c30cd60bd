"""The interface: addresses, what they take, what they give."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from personalization_assets.serving.service.access import Access
from personalization_assets.serving.service.choosing import Rules
from personalization_assets.serving.service.front import Front
from personalization_assets.serving.service.keys import KeyFile, keys_file
from personalization_assets.serving.service.ladder import Ladder
from personalization_assets.serving.service.logs import to_stdout
from personalization_assets.serving.service.metrics import Metrics
from personalization_assets.serving.service.problems import describe, handle
from personalization_assets.serving.service.routes_about import about_routes
from personalization_assets.serving.service.routes_data import data_routes
from personalization_assets.serving.service.store import Store
from personalization_assets.settings import Settings, load_settings

WITHOUT_KEYS = "PERSONALIZE_SERVICE_WITHOUT_KEYS"
WORKERS = "PERSONALIZE_SERVICE_WORKERS"
"""How a command tells the processes that it starts"""

SWITCH_SECONDS = 0.0005
"""How long a thread that scores or reads may keep the interpreter while the loop waits for it"""

DESCRIPTION = """
Recommendations, similar products, and what may be said about a customer, from the last publication
of the platform. Every answer says which publication and which version of the model it comes from.

Send a key as `Authorization: Bearer pz_...`; each endpoint names the scope that it asks for. Errors
are `application/problem+json`. Send `X-Request-Id` to find a request again in the log.
"""


def create_app(settings: Settings, with_keys: bool = True, workers: int = 1) -> Front:
    """The service for these settings.

    Args:
        settings: of the platform; the publication and the file of keys lie where they say
        with_keys: whether data are answered to holders of keys only
        workers: how many processes share the limits of keys
    """
    serving = settings.serving
    metrics = Metrics()
    store = Store(settings.serving_file, serving, metrics)
    lists, now = settings.recommendations, serving.context_weight
    rules = Rules(
        cart=lists.weight_cart * now,
        view=lists.weight_view * now,
        per_category=lists.max_per_category,
        per_brand=lists.max_per_brand,
    )
    ladder = Ladder(serving, rules, metrics)
    keys = KeyFile(keys_file(settings)) if with_keys else None
    access = Access(keys, serving.rate_limit, metrics, workers)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await store.look()
        _one_blas_thread()
        watching = asyncio.create_task(store.watch())
        yield
        watching.cancel()
        ladder.close()
        store.close()

    app = FastAPI(
        title="Recommendation service",
        version="1",
        summary="What to show to whom",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    handle(app)
    describe(app)
    app.include_router(data_routes(settings, store, ladder, access))
    app.include_router(about_routes(app, store, metrics, access, serving.metrics_need_key))
    if serving.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=serving.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    if not with_keys:
        # A page in a browser here must not reach the service under a name of its own making.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])
    return Front(app, metrics, serving.max_body_bytes)


def app_of_a_worker() -> Front:
    """The service in a process that `personalize serve` started: settings from the environment."""
    sys.setswitchinterval(SWITCH_SECONDS)
    named = os.environ.get("PERSONALIZE_SETTINGS")
    to_stdout()
    return create_app(
        load_settings(Path(named) if named else None),
        with_keys=WITHOUT_KEYS not in os.environ,
        workers=int(os.environ.get(WORKERS, "1")),
    )


def _one_blas_thread() -> None:
    """One request must not take every core: linear algebra stays on the thread that asks for it."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, "blas")
