"""JSON responses of the API, as pydantic models for its documentation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class MethodFacts(BaseModel):
    """A fusion method."""

    name: str
    kind: Literal["classical", "learned"]
    summary: str
    paper: str
    parameters: int = Field(description="Number of trained parameters; 0 for a classical method.")


class MetricFacts(BaseModel):
    """A metric."""

    name: str
    summary: str
    higher_is_better: bool


class ColormapFacts(BaseModel):
    """A colormap."""

    name: str
    colors: list[str] = Field(
        description="From cold to hot, as #rrggbb; empty for the colormap stored in the camera's file."
    )


class Limits(BaseModel):
    """Limits of a request: its size, the size of an image, and the time that it may take."""

    upload_bytes: int = Field(description="Size of a request body.")
    pixels: int = Field(description="Size of one image.")
    seconds: float = Field(description="Time that a request may wait, and again that it may be processed.")


class Capabilities(BaseModel):
    """Methods, colormaps, metrics and limits of this server."""

    version: str
    default: str = Field(description="Method that is used if a request names none.")
    methods: list[MethodFacts]
    colormaps: list[ColormapFacts]
    metrics: list[MetricFacts]
    usual_metrics: list[str] = Field(description="Metrics that are computed if a request names none.")
    conventions: list[str] = Field(description="Conventions of published tables.")
    limits: Limits


class Scores(BaseModel):
    """Scores of a fused image."""

    convention: str = Field(description="Convention that was followed.")
    values: dict[str, float | None] = Field(description="Value of each metric; null if it is undefined.")
    higher_is_better: dict[str, bool]
    reasons: dict[str, str] = Field(description="Reason for each metric that is undefined.")


class ThermalRange(BaseModel):
    """Range of the thermal values, and the window that is displayed."""

    min: float = Field(description="Lowest value.")
    max: float = Field(description="Highest value.")
    low: float = Field(description="Value displayed as black.")
    high: float = Field(description="Value displayed as white.")
    unit: Literal["C", "levels", "counts", "values"] = Field(
        description="degC, 8-bit levels, integer counts of the sensor, or other floating-point values."
    )
    histogram: list[int] = Field(
        description="Number of pixels in each of up to 128 equally wide bins from the lowest to the highest"
        " value; of a sample of them if there are more than a million."
    )


class Temperatures(BaseModel):
    """The temperatures of the fused image, thinned out to 640 pixels at most on the longest side."""

    width: int = Field(description="Number of columns.")
    height: int = Field(description="Number of rows.")
    data: str = Field(
        description="Rows of unsigned 16-bit integers in base64, little-endian, in 0.1 K; 0 if unknown."
    )


class RegistrationReply(BaseModel):
    """Registration of the infrared image to the visible one."""

    found: bool = Field(description="Whether the registration was accepted.")
    score: float = Field(description="Share of the image blocks that agree with the transform, 0 to 1.")
    summary: str = Field(description="Result of the registration, or why it was rejected, in one sentence.")
    matrix: list[list[float]] | None = Field(
        description="3 x 3 homography from pixels of the infrared image to pixels of the visible one."
    )


class Registered(RegistrationReply):
    """Response of POST /api/register."""

    image: str | None = Field(description="The infrared image warped onto the visible grid: PNG in base64.")
    notes: list[str] = Field(description="How the inputs were treated, one sentence each.")
    seconds: float = Field(description="Processing time, without waiting, in seconds.")


class Fused(BaseModel):
    """A fused image with its metadata."""

    image: str = Field(description="The fused image in base64.")
    media_type: Literal["image/png", "image/jpeg"] = Field(description="Encoding of the fused image.")
    width: int = Field(description="Width of the fused image, in pixels.")
    height: int = Field(description="Height of the fused image, in pixels.")
    method: str = Field(description="Method that was used.")
    seconds: float = Field(description="Processing time, without waiting, in seconds.")
    notes: list[str] = Field(description="How the inputs were treated, one sentence each.")
    registration: RegistrationReply | None = Field(description="Registration of the pair, if requested.")
    scores: Scores | None = Field(description="Scores of the fused image, if requested.")
    infrared: str | None = Field(description="The infrared image as it was fused: JPEG in base64.")
    visible: str | None = Field(description="The visible image as it was fused: JPEG in base64.")
    thermal: ThermalRange | None = Field(description="Range of the thermal values, with previews only.")
    temperatures: Temperatures | None = Field(description="Temperatures, if requested and known.")


class Health(BaseModel):
    """Health of the server."""

    status: Literal["ok", "down"]
    workers: int = Field(description="Number of worker processes.")
    alive: int = Field(description="Workers that are running.")
    pending: int = Field(description="Requests that wait or are being processed.")
