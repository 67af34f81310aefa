"""HTTP endpoints of the API. They parse requests and format responses; the work is done in ``jobs.py``."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from prometheus_client import generate_latest
from starlette.responses import JSONResponse, Response

from ivfuse.server import schemas
from ivfuse.server.capabilities import capabilities, default_metrics
from ivfuse.server.forms import FuseForm, MetricsForm, PairForm, openapi_body
from ivfuse.server.messages import FUSED_FILES
from ivfuse.server.multipart import read_form
from ivfuse.server.problems import Problem, responses
from ivfuse.server.state import State

# Image fields of each form, and whether they are required.
PAIR_OR_CAMERA_FILE = {"ir": True, "vi": False}
PAIR = {"ir": True, "vi": True}
TRIPLE = {"fused": True, "ir": True, "vi": True}

_JOB_STATUSES = (400, 401, 403, 408, 413, 415, 422, 429, 500, 501, 503, 504)
_MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}

# Declared for the documentation; SecurityMiddleware checks the token.
_bearer = HTTPBearer(auto_error=False, description="Required if the server was started with --token.")
_guarded: dict[str, Any] = {"dependencies": [Depends(_bearer)]}
router = APIRouter()


@router.post(
    "/api/fuse",
    response_class=Response,
    openapi_extra=openapi_body(FuseForm, PAIR_OR_CAMERA_FILE),
    responses={
        200: {
            "description": "The fused image, or JSON that contains it.",
            "content": {"image/png": _BINARY, "image/jpeg": _BINARY},
            "model": schemas.Fused,
        },
        **responses(*_JOB_STATUSES),
    },
    **_guarded,
)
async def fuse(request: Request, state: State) -> Response:
    """Fuse a pair of images.

    Send `ir` and `vi`, or one radiometric JPEG as `ir`. The result has the size and colors of the visible
    image.
    """
    async with state.request_folder() as folder:
        form, files = await read_form(request, FuseForm, PAIR_OR_CAMERA_FILE, folder, state.settings)
        _check_combination(form)
        options: dict[str, Any] = form.model_dump(by_alias=True, exclude={"format"})
        options["bits"] = int(form.bits)
        if form.format != "json":
            options.update(encoding=form.format, metrics=[], previews=False, temperatures=False)
        message = {
            "job": "fuse",
            "folder": str(folder),
            "files": files,
            "options": options,
            "require_registration": form.format != "json",
        }
        result = await state.run_job(message, request.is_disconnected)
        image = (folder / FUSED_FILES[options["encoding"]]).read_bytes()
        media_type = _MEDIA_TYPES[options["encoding"]]
        if form.format == "json":
            return JSONResponse(_fused_json(result, image, media_type, folder))
        headers = {"X-Ivfuse-Method": result["method"], "X-Ivfuse-Seconds": str(result["seconds"])}
        return Response(image, media_type=media_type, headers=headers)


@router.post(
    "/api/metrics",
    response_model=schemas.Scores,
    openapi_extra=openapi_body(MetricsForm, TRIPLE),
    responses=responses(*_JOB_STATUSES),
    **_guarded,
)
async def metrics(request: Request, state: State) -> Response:
    """Score a fused image against its source images, as `ivfuse eval` does.

    The fused and the visible image must have the same size; an infrared image of another size is resampled.
    """
    async with state.request_folder() as folder:
        form, files = await read_form(request, MetricsForm, TRIPLE, folder, state.settings)
        message = {
            "job": "metrics",
            "folder": str(folder),
            "files": files,
            "convention": form.convention,
            "metrics": form.metrics or default_metrics(),
        }
        return JSONResponse(await state.run_job(message, request.is_disconnected))


@router.post(
    "/api/register",
    response_model=schemas.Registered,
    openapi_extra=openapi_body(PairForm, PAIR),
    responses=responses(*_JOB_STATUSES),
    **_guarded,
)
async def register(request: Request, state: State) -> Response:
    """Register the infrared image to the visible one and warp it onto the visible grid.

    If the registration is rejected, `found` is false and there is no image; `summary` gives the reason.
    """
    async with state.request_folder() as folder:
        form, files = await read_form(request, PairForm, PAIR, folder, state.settings)
        message = {"job": "register", "folder": str(folder), "files": files, "options": form.model_dump()}
        result = await state.run_job(message, request.is_disconnected)
        return JSONResponse(result | {"image": _base64(folder / "registered.png")})


@router.get(
    "/api/methods", response_model=schemas.Capabilities, responses=responses(401, 403, 500), **_guarded
)
async def methods(state: State) -> schemas.Capabilities:
    """List the methods, colormaps, metrics and limits of this server."""
    settings = state.settings
    limits = schemas.Limits(
        upload_bytes=settings.max_upload, pixels=settings.max_pixels, seconds=settings.timeout
    )
    return schemas.Capabilities(limits=limits, **capabilities())


@router.get(
    "/api/sample/{time}/{image}",
    response_class=Response,
    responses={
        200: {"content": {"image/png": _BINARY}, "description": "A PNG image."},
        **responses(401, 403, 422, 429, 500, 503, 504),
    },
    **_guarded,
)
async def sample(
    time: Literal["night", "dusk", "day"], image: Literal["infrared", "visible"], state: State
) -> Response:
    """Get an image of the synthetic street; the infrared one has 16 bits, in centikelvin (scale 0.01K)."""
    async with state.sample_lock:
        if (time, image) not in state.samples:
            async with state.request_folder() as folder:
                await state.run_job({"job": "sample", "folder": str(folder), "files": [], "time": time})
                for name in ("infrared", "visible"):
                    state.samples[time, name] = (folder / f"{name}.png").read_bytes()
    return Response(state.samples[time, image], media_type="image/png")


@router.get(
    "/healthz",
    response_model=schemas.Health,
    responses={
        503: {"model": schemas.Health, "description": "No worker process is running."},
        **responses(403, 500),
    },
)
async def healthz(state: State) -> Response:
    """Report whether the server can process images; requires no token."""
    pool = state.pool
    health = schemas.Health(
        status="ok" if pool.alive else "down",
        workers=len(pool.workers),
        alive=pool.alive,
        pending=pool.pending,
    )
    return JSONResponse(health.model_dump(), 200 if pool.alive else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics as text."},
        **responses(401, 403, 500),
    },
    **_guarded,
)
async def prometheus(state: State) -> Response:
    """Export requests, durations, workers and memory to Prometheus."""
    return Response(
        generate_latest(state.metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


def _check_combination(form: FuseForm) -> None:
    """Reject fields that contradict each other."""
    encoding = form.encoding if form.format == "json" else form.format
    if form.bits == "16" and encoding != "png":
        raise Problem(422, "bits: found 16 for a JPEG, which holds 8; expected 8, or the format png.")
    if form.metrics and form.format != "json":
        raise Problem(
            422, f"metrics: returned with JSON only; expected the format json, found {form.format}."
        )


def _fused_json(result: dict[str, Any], image: bytes, media_type: str, folder: Path) -> dict[str, Any]:
    """The body of :class:`ivfuse.server.schemas.Fused`."""
    grid = result.get("temperatures")
    return {
        **{"thermal": None, **result},
        "temperatures": grid and grid | {"data": _base64(folder / "temperatures")},
        "image": base64.b64encode(image).decode(),
        "media_type": media_type,
        "infrared": _base64(folder / "infrared.jpg"),
        "visible": _base64(folder / "visible.jpg"),
    }


def _base64(file: Path) -> str | None:
    return base64.b64encode(file.read_bytes()).decode() if file.exists() else None
