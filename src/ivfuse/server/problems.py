"""What clients are told when a request cannot be answered: a status and one sentence, always as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse


class Problem(HTTPException):
    """A request that is refused or has failed.

    Args:
        status: of HTTP, 400 or more.
        sentence: what was found and what was expected.
        headers: to send along.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        """Keep them for the answer."""
        super().__init__(status, sentence, headers)


class ProblemBody(BaseModel):
    """Every answer of 400 and above."""

    error: str = Field(description="One sentence: what was found, and what was expected.")


_PLAIN = {
    404: "There is nothing at this address; /docs lists what there is.",
    405: "This address does not answer to this method; /docs lists what it answers to.",
}


def answer(problem: HTTPException) -> JSONResponse:
    """The response to a problem."""
    sentence = _PLAIN.get(problem.status_code) if not isinstance(problem, Problem) else None
    return JSONResponse({"error": sentence or problem.detail}, problem.status_code, headers=problem.headers)


def install(app: FastAPI) -> None:
    """Make an application answer every problem in this way."""

    async def http(_: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, HTTPException)  # by registration
        return answer(problem)

    async def invalid(_: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, RequestValidationError)
        return answer(Problem(422, sentence_of(problem.errors())))

    async def unexpected(_: Request, __: Exception) -> JSONResponse:
        return answer(Problem(500, "The server met an error that it did not expect; its log says more."))

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def sentence_of(errors: Any) -> str:
    """The first of pydantic's errors as a sentence."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such field; /docs lists the fields."
    if first["type"] == "missing":
        return f"{where}: this field is missing."
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{where}: {message[:1].lower()}{message[1:]}."


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": meaning}
    for status, meaning in {
        400: "The body is no multipart form.",
        401: "A token is needed.",
        403: "Another site's page called, or the host name is not the server's.",
        408: "The request came too slowly.",
        413: "The upload or an image is too large.",
        415: "A file is no image that can be read.",
        422: "A field or an image cannot be used.",
        429: "All processes are busy and the queue is full; Retry-After says when to come again.",
        500: "An error that was not expected.",
        503: "The process that worked on it ended, or none became free in time.",
        504: "It took longer than the server allows.",
    }.items()
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Some of the answers, for the documentation of an address."""
    return {status: RESPONSES[status] for status in statuses}
