"""Messages for clients: form fields instead of parameters, and nothing of the server's folders."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ivfuse.errors import InputError, IvfuseError, UnknownNameError, UsageError
from ivfuse.server.forms import FuseForm
from ivfuse.server.messages import error_message, form_field_of, note

FOLDER = Path("/srv/uploads/request")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            UsageError(field="ir_window", found="3 to 1", expected="LO below HI"),
            "window: found 3 to 1, expected LO below HI.",
        ),
        (UsageError(field="scale", expected="a file, or {ir_window}"), "scale: expected a file, or window."),
        (InputError(f"{FOLDER}/ir: found no image"), "infrared image: found no image."),
        (InputError(f"{FOLDER}/vi: found two\n lines."), "visible image: found two lines."),
        (InputError(f"cannot write into {FOLDER}"), "cannot write into the request."),
        (UnknownNameError("colormap", "irn", ["iron"]), "unknown colormap 'irn'; did you mean iron?"),
    ],
)
def test_an_error_is_a_sentence_in_the_client_s_terms(error: IvfuseError, sentence: str) -> None:
    assert error_message(error, FOLDER) == sentence
    assert error_message(pickle.loads(pickle.dumps(error)), FOLDER) == sentence


def test_a_note_names_form_fields() -> None:
    assert note("{ir_window} is not used,  {scale} is") == "window is not used, scale is"


def test_parameters_with_another_name_have_a_form_field() -> None:
    fields = {field.alias or name for name, field in FuseForm.model_fields.items()}
    renamed = {"ir_window", "out", "depth", "rig", "registration"}
    assert {form_field_of(name) for name in renamed} <= fields
    assert {form_field_of(name) for name in fields} == fields
