"""Form fields of the API, as pydantic models, and their description for OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ivfuse.fusion.emphasis import EmphasisName
from ivfuse.image import formats
from ivfuse.server.messages import CAMERA_FILES, IMAGE_NAMES


def _split(value: Any) -> Any:
    """``"EN, SD"`` as a list."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Text = Annotated[str | None, Field(max_length=100)]
Number = Annotated[float | None, Field(allow_inf_nan=False)]
Names = Annotated[list[str], BeforeValidator(_split), Field(max_length=64)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


Form = TypeVar("Form", bound=_Form)


class PairForm(_Form):
    """How the pair is read."""

    window: Text = Field(
        None,
        description="Thermal values mapped to black and white: percentile (the default), plateau, a range"
        " in degrees (10C..45C) or in the units of the file (7200..8400).",
        examples=["10C..45C"],
    )
    scale: Text = Field(None, description="Temperature of one count of a plain file: 0.01K, 0.1C, 0.01C-100.")
    emissivity: Number = Field(
        None, description="Emissivity of the object, 0 to 1; overrides the radiometric file."
    )
    distance: Number = Field(None, description="Distance to the object, in m.")
    reflected: Number = Field(None, description="Reflected apparent temperature, in degC.")
    atmospheric: Number = Field(None, description="Temperature of the air, in degC.")
    humidity: Number = Field(None, description="Relative humidity of the air, in percent.")
    parallax: bool = Field(
        True, description="Correct the residual parallax between the two lenses of a radiometric file."
    )


class FuseForm(PairForm):
    """How the pair is fused and what is returned."""

    method: Text = Field(None, description="A method of GET /api/methods; the default method if omitted.")
    strength: float = Field(1.0, ge=0, le=1, description="0 gives the visible, 1 the full fusion.")
    emphasis: EmphasisName | None = Field(
        None, description="What to bring out; none keeps the method's result; its own default if omitted."
    )
    ir_gamma: float = Field(
        1.0, ge=0.1, le=10, description="Gamma of the thermal image before fusion: below 1 brightens it."
    )
    gray: bool = Field(False, description="Return the fused luma instead of color.")
    colormap: Text = Field(None, description="Color by temperature: a colormap of GET /api/methods.")
    highlight: Text = Field(None, description='Highlight a temperature range: ">40C", "30C..37C".')
    colorbar: bool = Field(True, description="Draw a color bar next to a colormap or highlight.")
    register_: bool = Field(
        False,
        alias="register",
        description="Register the pair before fusing it. If the registration is rejected, a JSON response"
        " says so and the pair is fused unregistered; a request for an image alone is an error.",
    )
    metrics: Names = Field(
        [], description="Metrics to compute, separated by commas: EN,VIF,Qabf (JSON only)."
    )
    format: Literal["png", "jpeg", "json"] = Field(
        "png", description="Format of the response: the image alone, or JSON that contains it."
    )
    encoding: Literal["png", "jpeg"] = Field("png", description="Encoding of the image inside JSON.")
    bits: Literal["8", "16"] = Field("8", description="Bits per channel of a PNG.")
    previews: bool = Field(
        False, description="Also return both source images as they were fused, as JPEG inside JSON."
    )
    temperatures: bool = Field(
        False, description="Also return the temperature of each pixel, where known (JSON only)."
    )


class MetricsForm(_Form):
    """What is measured."""

    metrics: Names = Field([], description="Metrics, separated by commas; the eight usual ones if omitted.")
    convention: Annotated[str, Field(max_length=40)] = Field(
        "default", description="Convention of the published tables to follow."
    )


def openapi_body(model: type[BaseModel], images: Mapping[str, bool]) -> dict[str, Any]:
    """Describe the request body of a form for OpenAPI.

    Args:
        model: model of the text fields.
        images: image fields, and whether they are required.
    """
    schema = model.model_json_schema()
    files = {name: _image_field_schema(name, required) for name, required in images.items()}
    properties = files | {name: _text_field_schema(field) for name, field in schema["properties"].items()}
    required = [name for name, is_required in images.items() if is_required]
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": body}}}}


def _image_field_schema(name: str, required: bool) -> dict[str, str]:
    camera = ", or a file of a thermal camera" if name in CAMERA_FILES else ""
    optional = "; omit it if the infrared file is that of a camera and contains both images."
    return {
        "type": "string",
        "format": "binary",
        "description": f"The {IMAGE_NAMES[name]} image, a {formats.NAMES} file{camera}"
        + ("." if required else optional),
    }


def _text_field_schema(field: dict[str, Any]) -> dict[str, Any]:
    """A field as a form encodes it: without null, and a list as one text."""
    kept = {
        key: field[key] for key in ("description", "enum", "default", "maxLength", "examples") if key in field
    }
    if field.get("type") == "array":
        return kept | {"type": "string", "default": ""}
    types = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    plain = {key: value for key, value in types[0].items() if key in ("type", "maxLength", "enum")}
    return {key: value for key, value in (plain | kept).items() if value is not None}
