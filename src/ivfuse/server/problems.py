"""Error responses: a status and one sentence, always as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ivfuse.server.messages import UNEXPECTED


class Problem(HTTPException):
    """A request that was rejected or has failed.

    Args:
        status: HTTP status, 400 or above.
        sentence: what was found and what was expected.
        headers: additional response headers.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        """Store the parts of the response."""
        super().__init__(status, sentence, headers)


class ProblemBody(BaseModel):
    """The body of every response of status 400 and above."""

    error: str = Field(description="One sentence: what was found, and what was expected.")


_GENERIC = {
    404: "There is no such URL; /docs lists all of them.",
    405: "This URL does not support the HTTP method; /docs lists the ones that it supports.",
}


def to_response(problem: HTTPException) -> JSONResponse:
    """The response for a problem."""
    sentence = _GENERIC.get(problem.status_code) if not isinstance(problem, Problem) else None
    return JSONResponse({"error": sentence or problem.detail}, problem.status_code, headers=problem.headers)


def install(app: FastAPI) -> None:
    """Make an application answer every error in this form."""

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # by registration
        return to_response(error)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # by registration
        return to_response(Problem(422, validation_message(error.errors())))

    async def unexpected(_: Request, __: Exception) -> JSONResponse:
        return to_response(Problem(500, UNEXPECTED))

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def validation_message(errors: Any) -> str:
    """The first of pydantic's errors as a sentence."""
    first = errors[0]
    field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    if first["type"] == "extra_forbidden":
        return f"{field}: there is no such field; /docs lists the fields."
    if first["type"] == "missing":
        return f"{field}: this field is missing."
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{field}: {message[:1].lower()}{message[1:]}."


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": meaning}
    for status, meaning in {
        400: "The body is not a multipart form.",
        401: "The bearer token is missing or wrong.",
        403: "The Origin header names another site, or the Host header another server.",
        408: "The request arrived too slowly.",
        413: "The upload or an image is too large, or needs too much memory.",
        415: "A file is not an image of a supported format.",
        422: "A field or an image is invalid.",
        431: "The headers are too long.",
        429: "All workers are busy and the queue is full; see the Retry-After header.",
        500: "An unexpected error occurred.",
        501: "An image or a method needs packages that this server lacks.",
        503: "The worker process ended, or none became free in time.",
        504: "The work took longer than the server allows.",
    }.items()
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Some of the error responses, for the documentation of an endpoint."""
    return {status: RESPONSES[status] for status in statuses}
