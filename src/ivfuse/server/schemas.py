"""The JSON that the API answers with, for its documentation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class MethodFacts(BaseModel):
    """One method."""

    name: str
    kind: Literal["classical", "learned"]
    summary: str
    paper: str
    parameters: int = Field(description="Trained parameters; 0 for classical methods.")


class MetricFacts(BaseModel):
    """One metric."""

    name: str
    summary: str
    higher_is_better: bool


class PaletteFacts(BaseModel):
    """One palette."""

    name: str
    colors: list[str] = Field(description="From cold to hot, as #rrggbb; none for the camera's own.")


class Limits(BaseModel):
    """What a request may hold and take."""

    upload_bytes: int
    pixels: int
    seconds: float


class Capabilities(BaseModel):
    """What this server can do."""

    version: str
    default: str = Field(description="The method that is used when none is named.")
    methods: list[MethodFacts]
    palettes: list[PaletteFacts]
    metrics: list[MetricFacts]
    usual_metrics: list[str]
    conventions: list[str]
    limits: Limits


class Scores(BaseModel):
    """The numbers of one fused image."""

    convention: str
    values: dict[str, float | None] = Field(description="Metric to number; null where it has none.")
    higher_is_better: dict[str, bool]
    reasons: dict[str, str] = Field(description="Metric to the reason why it has no number.")


class ThermalRange(BaseModel):
    """The values of the thermal image."""

    min: float
    max: float
    low: float = Field(description="The value that is shown black.")
    high: float = Field(description="The value that is shown white.")
    unit: Literal["C", "levels", "counts", "values"]


class Registration(BaseModel):
    """How the thermal image lies on the visible."""

    found: bool = Field(description="Whether a transform was found that can be trusted.")
    score: float = Field(description="How far the transform can be trusted, 0 to 1.")
    summary: str = Field(description="One sentence.")
    matrix: list[list[float]] | None = Field(
        description="3 x 3, from a pixel of the infrared image to one of the visible image."
    )


class Registered(Registration):
    """The answer of POST /api/register."""

    image: str | None = Field(description="The infrared image on the visible's grid: PNG in base64.")
    notes: list[str]
    seconds: float


class Fused(BaseModel):
    """A fused image and what is known of it."""

    image: str = Field(description="The fused image in base64.")
    media_type: Literal["image/png", "image/jpeg"]
    width: int
    height: int
    method: str
    seconds: float = Field(description="Of the work, without waiting.")
    notes: list[str] = Field(description="What was done to the inputs, a sentence each.")
    registration: Registration | None
    scores: Scores | None
    infrared: str | None = Field(description="The infrared image as it was fused: JPEG in base64.")
    visible: str | None = Field(description="The visible image as it was fused: JPEG in base64.")
    thermal: ThermalRange | None


class Health(BaseModel):
    """Whether the server can work."""

    status: Literal["ok", "down"]
    workers: int
    alive: int
    pending: int
