"""The metrics of the field and their conventions: a triple (infrared, visible, fused) becomes numbers.

Each metric is also a function of three arrays, by its name in lower case, as in
``ivfuse.metrics.ssim(fused, ir, vi)``.
"""

# The order of these imports is the order of the tables.
# isort: off
from ivfuse.metrics import (  # noqa: F401  (they register)
    information,
    statistics,
    structure,
    mef,
    structure_weighted,
    gradient,
    petrovic,
    perception,
    perception_wavelet,
    perception_viff,
    perception_contrast,
    perception_phase,
    features,
    features_edges,
    seeing,
)

# isort: on
from ivfuse.metrics.conventions import CONVENTIONS, Convention, get_convention
from ivfuse.metrics.evaluate import (
    DEFAULT_METRICS,
    SEEING,
    Scorer,
    Scores,
    evaluate_arrays,
    mean_ranks,
    score_many,
)
from ivfuse.metrics.functional import ArrayMetric, array_metric, function_names
from ivfuse.metrics.metric import Metric, Undefined
from ivfuse.metrics.registry import METRICS, expand_names, get_metric, list_metrics
from ivfuse.metrics.triple import Sources, Triple

__all__ = [
    "CONVENTIONS",
    "DEFAULT_METRICS",
    "METRICS",
    "SEEING",
    "Convention",
    "Metric",
    "Scorer",
    "Scores",
    "Sources",
    "Triple",
    "Undefined",
    "evaluate_arrays",
    "expand_names",
    "get_convention",
    "get_metric",
    "list_metrics",
    "mean_ranks",
    "score_many",
]


def __getattr__(name: str) -> ArrayMetric:
    """The function of a metric (PEP 562)."""
    if name in function_names():
        return array_metric(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names and all metrics."""
    return sorted([*__all__, *function_names()])
