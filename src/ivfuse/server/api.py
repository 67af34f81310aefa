"""The addresses of the API; what they do is done in ``jobs.py``, by another process."""

from __future__ import annotations

import base64
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from prometheus_client import generate_latest
from starlette.responses import JSONResponse, Response

from ivfuse.server import schemas
from ivfuse.server.forms import FuseForm, MetricsForm, PairForm, described, read_form
from ivfuse.server.problems import Problem, responses

if TYPE_CHECKING:
    from ivfuse.server.app import Workplace

PAIR = {"ir": True, "vi": False}
BOTH = {"ir": True, "vi": True}
TRIPLE = {"fused": True, "ir": True, "vi": True}
_WORK = (400, 401, 403, 408, 413, 415, 422, 429, 500, 503, 504)
_MEDIA = {"png": "image/png", "jpeg": "image/jpeg"}

_token = HTTPBearer(auto_error=False, description="Needed if the server was started with --token.")
router = APIRouter()
guarded: dict[str, Any] = {"dependencies": [Depends(_token)]}


def place_of(request: Request) -> Workplace:
    """What the requests of the application share."""
    place: Workplace = request.app.state.place
    return place


Place = Annotated[Any, Depends(place_of)]


@router.post(
    "/api/fuse",
    response_class=Response,
    openapi_extra=described(FuseForm, PAIR),
    responses={
        200: {
            "description": "The fused image, or JSON that holds it.",
            "content": {
                "image/png": {"schema": {"type": "string", "format": "binary"}},
                "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            },
            "model": schemas.Fused,
        },
        **responses(*_WORK),
    },
    **guarded,
)
async def fuse(request: Request, place: Place) -> Response:
    """Fuse a pair of images.

    Send `ir` and `vi`, or one radiometric JPEG as `ir`. The image has the visible's size and colors.
    """
    async with place.desk() as folder:
        form, files = await read_form(request, FuseForm, PAIR, folder, place.settings)
        _check_fuse(form)
        choices: dict[str, Any] = form.model_dump(by_alias=True, exclude={"format"})
        choices["bits"] = int(form.bits)
        if form.format != "json":
            choices.update(encoding=form.format, metrics=[], previews=False)
        message = {
            "do": "fuse",
            "folder": str(folder),
            "files": files,
            "choices": choices,
            "only_if_sure": form.format != "json",
        }
        said = await place.work(message, request.is_disconnected)
        image = (folder / f"fused.{'png' if choices['encoding'] == 'png' else 'jpg'}").read_bytes()
        media = _MEDIA[choices["encoding"]]
        if form.format == "json":
            return JSONResponse(_fused(said, image, media, folder))
        facts = {"X-Ivfuse-Method": said["method"], "X-Ivfuse-Seconds": str(said["seconds"])}
        return Response(image, media_type=media, headers=facts)


@router.post(
    "/api/metrics",
    response_model=schemas.Scores,
    openapi_extra=described(MetricsForm, TRIPLE),
    responses=responses(*_WORK),
    **guarded,
)
async def metrics(request: Request, place: Place) -> Response:
    """Score a fused image against its sources; all three have one size."""
    from ivfuse.metrics.evaluate import EIGHT

    async with place.desk() as folder:
        form, files = await read_form(request, MetricsForm, TRIPLE, folder, place.settings)
        message = {"do": "metrics", "folder": str(folder), "files": files, "convention": form.convention}
        said = await place.work(message | {"metrics": form.metrics or list(EIGHT)}, request.is_disconnected)
        return JSONResponse(said)


@router.post(
    "/api/register",
    response_model=schemas.Registered,
    openapi_extra=described(PairForm, BOTH),
    responses=responses(*_WORK),
    **guarded,
)
async def register(request: Request, place: Place) -> Response:
    """Find how the infrared image lies on the visible one, and lay it there.

    Where no transform is sure `found` is false and there is no image; `summary` says why.
    """
    async with place.desk() as folder:
        form, files = await read_form(request, PairForm, BOTH, folder, place.settings)
        message = {"do": "register", "folder": str(folder), "files": files, "choices": form.model_dump()}
        said = await place.work(message, request.is_disconnected)
        return JSONResponse(said | {"image": _base64(folder / "registered.png")})


@router.get(
    "/api/methods", response_model=schemas.Capabilities, responses=responses(401, 403, 500), **guarded
)
async def methods(place: Place) -> schemas.Capabilities:
    """What this server can do: methods, palettes, metrics, limits."""
    settings = place.settings
    limits = schemas.Limits(
        upload_bytes=settings.max_upload, pixels=settings.max_pixels, seconds=settings.timeout
    )
    return schemas.Capabilities(limits=limits, **_known())


@router.get(
    "/api/sample/{time}/{image}",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A PNG image.",
        },
        **responses(401, 403, 422, 429, 500, 503, 504),
    },
    **guarded,
)
async def sample(
    time: Literal["night", "dusk", "day"], image: Literal["infrared", "visible"], place: Place
) -> Response:
    """An image of the synthetic street; the infrared one has 16 bit, in centikelvin (scale 0.01K)."""
    async with place.sampling:
        if (time, image) not in place.samples:
            async with place.desk() as folder:
                await place.work({"do": "sample", "folder": str(folder), "files": [], "time": time})
                for name in ("infrared", "visible"):
                    place.samples[time, name] = (folder / f"{name}.png").read_bytes()
    return Response(place.samples[time, image], media_type="image/png")


@router.get(
    "/healthz",
    response_model=schemas.Health,
    responses={503: {"model": schemas.Health, "description": "No process runs."}, **responses(403, 500)},
)
async def healthz(place: Place) -> Response:
    """Whether the server can work; needs no token."""
    pool = place.pool
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
    **guarded,
)
async def prometheus(place: Place) -> Response:
    """Requests, durations, processes and memory for Prometheus."""
    return Response(
        generate_latest(place.counters.registry), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


def _check_fuse(form: FuseForm) -> None:
    """Refuse choices that contradict each other."""
    encoding = form.encoding if form.format == "json" else form.format
    if form.bits == "16" and encoding != "png":
        raise Problem(422, "bits: found 16 for a JPEG, which holds 8; expected 8, or the format png.")
    if form.metrics and form.format != "json":
        raise Problem(
            422, f"metrics: they come with JSON only; expected the format json, found {form.format}."
        )


def _fused(said: dict[str, Any], image: bytes, media: str, folder: Path) -> dict[str, Any]:
    """The JSON of a fused image."""
    return {
        **{"thermal": None, **said},
        "image": base64.b64encode(image).decode(),
        "media_type": media,
        "infrared": _base64(folder / "infrared.jpg"),
        "visible": _base64(folder / "visible.jpg"),
    }


def _base64(file: Path) -> str | None:
    return base64.b64encode(file.read_bytes()).decode() if file.exists() else None


@cache
def _known() -> dict[str, Any]:
    """Methods, palettes and metrics of the registries, as they stand."""
    from ivfuse.fusion.registry import default_method, list_methods, method_info
    from ivfuse.metrics.conventions import CONVENTIONS
    from ivfuse.metrics.evaluate import EIGHT
    from ivfuse.metrics.registry import get_metric, list_metrics
    from ivfuse.thermal.colormaps import CAMERA, colormap_names, find_colormap

    infos = [method_info(name) for name in list_methods()]
    measures = [get_metric(name) for name in list_metrics()]
    return {
        "version": version("ivfuse"),
        "default": default_method(),
        "methods": [
            schemas.MethodFacts(
                name=info.name,
                kind=info.kind,
                summary=info.summary,
                paper=info.paper,
                parameters=info.parameters,
            )
            for info in infos
        ],
        "palettes": [
            *(
                schemas.PaletteFacts(name=name, colors=_hex(find_colormap(name).colors))
                for name in colormap_names()
            ),
            schemas.PaletteFacts(name=CAMERA, colors=[]),
        ],
        "metrics": [
            schemas.MetricFacts(
                name=each.name, summary=each.doc.splitlines()[0], higher_is_better=each.higher_is_better
            )
            for each in measures
        ],
        "usual_metrics": list(EIGHT),
        "conventions": list(CONVENTIONS),
    }


def _hex(colors: Any) -> list[str]:
    """Sixteen colors of a find_colormap, its first and last one among them."""
    return [
        f"#{bytes(round(255 * float(part)) for part in color).hex()}"
        for color in colors[:: len(colors) // 15]
    ]
