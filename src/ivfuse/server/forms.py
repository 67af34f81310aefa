"""Multipart forms: their fields, checked; their images, written into the private folder of the request."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from ivfuse.image.formats import NAMES, sniff
from ivfuse.server.problems import Problem, sentence_of
from ivfuse.server.settings import MB, Settings

_MOST_FIELDS = 32
_LONGEST_FIELD = 4096  # bytes
_NAMES = {"ir": "infrared", "vi": "visible", "fused": "fused"}


def _listed(value: Any) -> Any:
    """``EN, SD`` as a list."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Text = Annotated[str | None, Field(max_length=100)]
Number = Annotated[float | None, Field(allow_inf_nan=False)]
Names = Annotated[list[str], BeforeValidator(_listed), Field(max_length=64)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


Form = TypeVar("Form", bound=_Form)


class PairForm(_Form):
    """How the pair is read."""

    window: Text = Field(
        None,
        description="Thermal values from black to white: percentile (the default), plateau, a range"
        " in degrees (10C..45C) or in the file's units (7200..8400).",
        examples=["10C..45C"],
    )
    scale: Text = Field(None, description="Degrees of one count of a plain file: 0.01K, 0.1C, 0.01C-100.")
    emissivity: Number = Field(None, description="Of the object, 0 to 1; else that of a radiometric file.")
    distance: Number = Field(None, description="To the object, in m.")
    reflected: Number = Field(None, description="Temperature that the object mirrors, in degC.")
    atmospheric: Number = Field(None, description="Temperature of the air, in degC.")
    humidity: Number = Field(None, description="Of the air, in per cent.")
    parallax: bool = Field(True, description="Shift the thermal image of a camera's file for parallax.")


class FuseForm(PairForm):
    """How the pair is fused and what comes back."""

    method: Text = Field(None, description="A name of GET /api/methods; the default method if left out.")
    gray: bool = Field(False, description="Give the fused luma instead of color.")
    palette: Text = Field(None, description="Color by heat: a name of GET /api/methods.")
    highlight: Text = Field(None, description='Paint a range of temperatures: ">40C", "30C..37C".')
    bar: bool = Field(True, description="With a palette or highlight: draw a bar of temperatures.")
    register_: bool = Field(
        False,
        alias="register",
        description="Register the pair before it is fused. Where that is not sure, JSON says so and the"
        " pair is fused as it is; instead of an image alone there is an error.",
    )
    metrics: Names = Field([], description="Scores to compute, with commas between: EN,VIF,Qabf (JSON only).")
    format: Literal["png", "jpeg", "json"] = Field(
        "png", description="What comes back: the image itself, or JSON that holds it and more."
    )
    encoding: Literal["png", "jpeg"] = Field("png", description="Of the image inside JSON.")
    bits: Literal["8", "16"] = Field("8", description="Bits per channel of a PNG.")
    previews: bool = Field(False, description="JSON also holds both sources as they were fused, as JPEG.")


class MetricsForm(_Form):
    """What is measured."""

    metrics: Names = Field([], description="Names, with commas between; the eight usual ones if left out.")
    convention: Annotated[str, Field(max_length=40)] = Field(
        "default", description="The family of published tables to follow."
    )


class _InMemory(MultiPartParser):
    """Uploads are bounded: they stay in memory, and no library writes files of its own."""

    spool_max_size = sys.maxsize


async def read_form(
    request: Request, model: type[Form], images: Mapping[str, bool], folder: Path, settings: Settings
) -> tuple[Form, list[str]]:
    """Read the body of a request.

    Args:
        request: whose body has not been read.
        model: of the fields.
        images: fields that hold a file, and whether they must be there.
        folder: where the files go, under the names of their fields.
        settings: the limits.

    Returns:
        The fields, and which files there are.

    Raises:
        Problem: if the body is no form, is too large or too slow, a field makes no sense, or a file is none.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Problem(415, "The body is not a multipart form; expected Content-Type: multipart/form-data.")
    parser = _InMemory(
        request.headers,
        _limited(request, settings),
        max_files=len(images),
        max_fields=_MOST_FIELDS,
        max_part_size=_LONGEST_FIELD,
    )
    try:
        parts = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise Problem(400, f"The form cannot be read: {error.message.rstrip('.')}.") from error
    except ClientDisconnect as error:
        raise Problem(408, "The client went away before the whole request was there.") from error
    except (FormParserError, ValueError, LookupError) as error:  # of boundaries, headers and their encodings
        raise Problem(400, "The form cannot be read: it is damaged or ends too early.") from error
    files = {name: part for name, part in parts if isinstance(part, UploadFile)}
    texts = {name: part for name, part in parts if not isinstance(part, UploadFile)}
    if len(files) + len(texts) < len(parts):
        raise Problem(422, "A field stands in the form twice; expected each of them once.")
    form = _checked(model, texts, files, images)
    for name, file in files.items():
        await asyncio.to_thread((folder / name).write_bytes, await file.read())
    return form, list(files)


def _checked(
    model: type[Form], texts: dict[str, str], files: dict[str, UploadFile], images: Mapping[str, bool]
) -> Form:
    """The fields, once the files are known to be images."""
    for name in images.keys() & texts.keys():
        raise Problem(422, f"{name}: found text, expected a file (a part of the form with a file name).")
    for name in files:
        if name not in images:
            raise Problem(422, f"{name}: there is no such image, expected {' and '.join(images)}.")
    for name, needed in images.items():
        if needed and name not in files:
            raise Problem(422, f"{name}: the {_NAMES[name]} image is missing.")
    try:
        # browsers send a field that was left alone as an empty text
        form = model.model_validate({name: text for name, text in texts.items() if text})
    except ValidationError as error:
        raise Problem(422, sentence_of(error.errors())) from error
    for name, file in files.items():
        _check_image(name, file)
    return form


def _check_image(name: str, file: UploadFile) -> None:
    """Refuse what does not begin like an image."""
    head = file.file.read(16)
    file.file.seek(0)
    if not head:
        raise Problem(415, f"{_NAMES[name]} image: found an empty file, expected a {NAMES} image.")
    if sniff(head) is None:
        raise Problem(415, f"{_NAMES[name]} image: found no image, expected a {NAMES} file.")


async def _limited(request: Request, settings: Settings) -> AsyncGenerator[bytes, None]:
    """The body, as long as it is small enough and comes fast enough."""
    most = settings.max_upload
    too_large = Problem(
        413, f"The request is too large; expected {most / MB:g} MB at most, all images together."
    )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large
    deadline = time.monotonic() + max(settings.timeout, settings.patience)
    stream = request.stream()
    read = 0
    while True:
        left = min(settings.patience, deadline - time.monotonic())
        try:
            chunk = await asyncio.wait_for(anext(stream, None), max(left, 0))
        except TimeoutError:
            raise Problem(408, "The request came too slowly; please try again on a faster line.") from None
        if chunk is None:
            return
        read += len(chunk)
        if read > most:
            raise too_large
        yield chunk


def described(model: type[BaseModel], images: Mapping[str, bool]) -> dict[str, Any]:
    """The body of a form for OpenAPI."""
    schema = model.model_json_schema()
    files = {
        name: {
            "type": "string",
            "format": "binary",
            "description": f"The {_NAMES[name]} image, a {NAMES} file"
            + (
                "."
                if needed
                else "; leave it out if the infrared file is a radiometric JPEG that holds both."
            ),
        }
        for name, needed in images.items()
    }
    properties = files | {name: _as_text(field) for name, field in schema["properties"].items()}
    required = [name for name, needed in images.items() if needed]
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": body}}}}


def _as_text(field: dict[str, Any]) -> dict[str, Any]:
    """A field as it stands in a form: nothing is null there, and a list is one text."""
    kept = {
        key: field[key] for key in ("description", "enum", "default", "maxLength", "examples") if key in field
    }
    if field.get("type") == "array":
        return kept | {"type": "string", "default": ""}
    types = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    plain = {key: value for key, value in types[0].items() if key in ("type", "maxLength", "enum")}
    return {key: value for key, value in (plain | kept).items() if value is not None}
