"""Reading of multipart requests: limits, validation of fields, and images written to the request's folder."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from fastapi import Request
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from ivfuse.image import formats
from ivfuse.server.forms import Form
from ivfuse.server.messages import CAMERA_FILES, IMAGE_NAMES, TOO_SLOW
from ivfuse.server.problems import Problem, validation_message
from ivfuse.server.settings import MB, Settings

_MAX_FIELDS = 32
_MAX_FIELD_BYTES = 4096
_HEAD_BYTES = 16  # enough to recognize the format of an image


class _InMemoryParser(MultiPartParser):
    """Keeps uploads in memory, since they are bounded: no library writes temporary files of its own."""

    spool_max_size = sys.maxsize


async def read_form(
    request: Request, model: type[Form], images: Mapping[str, bool], folder: Path, settings: Settings
) -> tuple[Form, list[str]]:
    """Read and validate the body of a request.

    Args:
        request: a request whose body has not been read.
        model: model of the text fields.
        images: image fields, and whether they are required.
        folder: where the images are written, under the names of their fields.
        settings: limits of size and time.

    Returns:
        The text fields, and the names of the images that were sent.

    Raises:
        Problem: if the body is no form, too large or too slow, or a field or image is invalid.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Problem(415, "The body is not a multipart form; expected Content-Type: multipart/form-data.")
    texts, files = await _parse(request, len(images), settings)
    form = _validate(model, texts, files, images)
    for name, file in files.items():
        await asyncio.to_thread((folder / name).write_bytes, await file.read())
        await asyncio.to_thread(_check_format, name, folder / name)
    return form, list(files)


async def _parse(
    request: Request, max_files: int, settings: Settings
) -> tuple[dict[str, str], dict[str, UploadFile]]:
    """The text fields and files of a form, none of which may be repeated."""
    parser = _InMemoryParser(
        request.headers,
        _bounded_body(request, settings),
        max_files=max_files,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        parts = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise Problem(400, f"The form cannot be read: {error.message.rstrip('.')}.") from error
    except ClientDisconnect as error:
        raise Problem(408, "The client disconnected before the request was complete.") from error
    except (FormParserError, ValueError, LookupError) as error:  # bad boundaries, headers or encodings
        raise Problem(400, "The form cannot be read: it is malformed or incomplete.") from error
    files = {name: part for name, part in parts if isinstance(part, UploadFile)}
    texts = {name: part for name, part in parts if not isinstance(part, UploadFile)}
    if len(files) + len(texts) < len(parts):
        raise Problem(422, "A form field was sent twice; expected each of them once.")
    return texts, files


def _validate(
    model: type[Form], texts: dict[str, str], files: dict[str, UploadFile], images: Mapping[str, bool]
) -> Form:
    """Validate the text fields and the names of the files."""
    for name in images.keys() & texts.keys():
        raise Problem(422, f"{name}: found text, expected a file (a part of the form with a file name).")
    for name in files:
        if name not in images:
            raise Problem(422, f"{name}: there is no such image field, expected {' and '.join(images)}.")
    for name, required in images.items():
        if required and name not in files:
            raise Problem(422, f"{name}: the {IMAGE_NAMES[name]} image is missing.")
    try:
        # browsers send a field that was left empty as an empty text
        form = model.model_validate({name: text for name, text in texts.items() if text})
    except ValidationError as error:
        raise Problem(422, validation_message(error.errors())) from error
    return form


def _check_format(name: str, file: Path) -> None:
    """Reject a file whose first bytes are not those of an image, or of a thermal camera's file."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if formats.sniff(head) is not None:
        return
    expected = f"a {formats.NAMES} file"
    if name in CAMERA_FILES:
        from ivfuse.thermal.formats.registry import is_plain

        if head and not is_plain(file):
            return
        expected += ", or one of a thermal camera"
    found = "no image" if head else "an empty file"
    raise Problem(415, f"{IMAGE_NAMES[name]} image: found {found}, expected {expected}.")


async def _bounded_body(request: Request, settings: Settings) -> AsyncGenerator[bytes, None]:
    """The chunks of the body, within the limits of size and time."""
    limit = settings.max_upload
    too_large = Problem(
        413, f"The request is too large; expected {limit / MB:g} MB at most, all images together."
    )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large
    deadline = time.monotonic() + max(settings.timeout, settings.client_timeout)
    stream = request.stream()
    received = 0
    while True:
        wait = min(settings.client_timeout, deadline - time.monotonic())
        try:
            chunk = await asyncio.wait_for(anext(stream, None), max(wait, 0))
        except TimeoutError:
            raise Problem(408, TOO_SLOW) from None
        if chunk is None:
            return
        received += len(chunk)
        if received > limit:
            raise too_large
        yield chunk
