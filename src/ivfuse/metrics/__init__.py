"""A triple (infrared, visible, fused) becomes numbers: the metrics of the field and their conventions."""

from ivfuse.metrics import (  # noqa: F401  (they register)
    features,
    features_edges,
    gradient,
    information,
    mef,
    perception,
    perception_contrast,
    perception_phase,
    perception_viff,
    perception_wavelet,
    petrovic,
    statistics,
    structure,
    structure_weighted,
)
from ivfuse.metrics.conventions import CONVENTIONS, Convention, get_convention
from ivfuse.metrics.evaluate import EIGHT, Scorer, Scores, evaluate_arrays, mean_ranks, score_many
from ivfuse.metrics.metric import Metric, Undefined
from ivfuse.metrics.registry import METRICS, get_metric
from ivfuse.metrics.triple import Sources, Triple

__all__ = [
    "CONVENTIONS",
    "EIGHT",
    "METRICS",
    "Convention",
    "Metric",
    "Scorer",
    "Scores",
    "Sources",
    "Triple",
    "Undefined",
    "evaluate_arrays",
    "get_convention",
    "get_metric",
    "mean_ranks",
    "score_many",
]
