"""Errors as application/problem+json (RFC 9457): what is wrong, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from personalization_assets.serving.service.schemas import Problem

MEDIA_TYPE = "application/problem+json"
PROBLEM = "#/components/schemas/Problem"
"""Where the description of the interface has the form of an error"""


class ProblemError(HTTPException):
    """An answer that is an error; `detail` is a sentence for whoever called."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))


def answer(
    request_id: str, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The response for a problem."""
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=request_id,
    )
    return Response(problem.model_dump_json(), status, headers, MEDIA_TYPE)


def describe(app: FastAPI) -> None:
    """Put the form of errors into an app's description, in place of FastAPI's own.

    A response that names its model would be described as plain JSON, too.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        described = app.openapi_schema is not None
        api = plain()
        if not described:
            schemas = api["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return api

    app.openapi = openapi  # type: ignore[method-assign]


def handle(app: FastAPI) -> None:
    """Give every error of an app this form."""

    @app.exception_handler(HTTPException)
    async def known(request: Request, error: HTTPException) -> Response:
        detail = str(error.detail)
        if error.status_code == 404 and not isinstance(error, ProblemError):
            detail = "There is no such address: /docs shows all."
        if error.status_code == 405:
            detail = "This address does not answer this method: /docs shows which it answers."
        return answer(_id(request), error.status_code, detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        # Where and what, without the value: it may be a customer's.
        problems = [
            f"{'.'.join(str(part) for part in e['loc'][1:]) or e['loc'][0]}: {e['msg']}"
            for e in error.errors()
        ]
        return answer(_id(request), 422, "; ".join(problems[:5]))

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        return answer(
            _id(request), 500, "Something went wrong here: report the request id, it is in the log."
        )


def _id(request: Request) -> str:
    request_id: str = request.state.note.request_id
    return request_id
