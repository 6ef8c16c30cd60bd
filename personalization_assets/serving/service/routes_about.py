"""The addresses that tell about the service itself."""

import datetime as dt

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from personalization_assets.serving.service.access import Access
from personalization_assets.serving.service.docs_page import page
from personalization_assets.serving.service.metrics import Metrics
from personalization_assets.serving.service.routes_data import errors
from personalization_assets.serving.service.schemas import Live, Ready
from personalization_assets.serving.service.store import Store

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def about_routes(
    app: FastAPI, store: Store, metrics: Metrics, access: Access, metrics_need_key: bool
) -> APIRouter:
    """Health, metrics and the page that describes the interface."""
    router = APIRouter()

    @router.get(
        "/health/live",
        tags=["service"],
        summary="Whether the process answers",
        description="For whoever restarts it. No key.",
    )
    async def live() -> Live:
        return Live()

    @router.get(
        "/health/ready",
        tags=["service"],
        summary="Whether there are data to answer from",
        description="For whoever sends requests here. `refused` says why a newer file is not in "
        "use. No key.",
        responses={503: {"model": Ready, "description": "No publication could be read yet"}},
    )
    async def ready(response: Response) -> Ready:
        publication = store.current
        refused = store.refused.sentence if store.refused else None
        if publication is None:
            response.status_code = 503
            return Ready(
                status="not_ready",
                published_at=None,
                age_seconds=None,
                model_version=None,
                customers=None,
                refused=refused,
            )
        age = dt.datetime.now(dt.UTC) - publication.published_at
        return Ready(
            status="ready",
            published_at=publication.published_at,
            age_seconds=round(age.total_seconds(), 1),
            model_version=publication.model_version,
            customers=len(publication.customers),
            refused=refused,
        )

    @router.get(
        "/metrics",
        tags=["service"],
        summary="Counters for Prometheus",
        description="Scope: `metrics`, unless the setting metrics_need_key is off.",
        dependencies=[Depends(access.scope("metrics"))] if metrics_need_key else [],
        responses=errors() if metrics_need_key else {},
        response_class=PlainTextResponse,
    )
    async def text() -> Response:
        return Response(metrics.text(), media_type=PROMETHEUS)

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    return router
