"""Named sets of variants; each reproduces one family of published tables, known mistakes included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from ivfuse.errors import UnknownNameError
from ivfuse.metrics import (
    features,
    gradient,
    information,
    mef,
    perception,
    perception_wavelet,
    petrovic,
    statistics,
    structure,
    structure_weighted,
)
from ivfuse.metrics.metric import Function
from ivfuse.metrics.registry import get_metric
from ivfuse.metrics.triple import Levels


def luma(rgb: Levels) -> Levels:
    """Return the BT.601 luma in 8 bit, in the fixed-point form that OpenCV and Pillow share."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def matlab_gray(rgb: Levels) -> Levels:
    """Return MATLAB's rgb2gray: weights 0.2989, 0.5870, 0.1140, rounded half up."""
    exact = rgb.astype(np.float64) @ np.array([0.2989, 0.5870, 0.1140])
    levels: Levels = np.floor(exact + 0.5).astype(np.uint8)
    return levels


@dataclass(frozen=True)
class Variant:
    """Another way to compute a metric, and what makes it differ from the default.

    ``joined``: where channels are scored, they lie side by side as one wide image instead of one by one.
    """

    function: Function
    note: str
    joined: bool = False


@dataclass(frozen=True)
class Convention:
    """A named set of variants.

    Attributes:
        name: as given by users and printed in reports.
        text: which tables it reproduces and what is known to be wrong in them.
        variants: metric name -> variant; a metric that is not here has its default form.
        to_gray: how an (H, W, 3) RGB uint8 image becomes (H, W) uint8.
        color: ``gray`` scores the gray images; ``channels`` scores each channel of a color image
            against the same channel of the sources and averages.
    """

    name: str
    text: str
    variants: Mapping[str, Variant] = field(default_factory=dict)
    to_gray: Callable[[Levels], Levels] = luma
    color: Literal["gray", "channels"] = "gray"

    def variant(self, name: str) -> Variant:
        """Return how the metric ``name`` is computed under this convention."""
        known = get_metric(name)
        return self.variants.get(known.name) or Variant(known.function, "")


_AG_PER_PIXEL = Variant(gradient.ag_per_pixel, "divided by H * W, not by (H - 1)(W - 1)")
_MI_NATS = Variant(information.mi_nats, "in nats, not bits: times ln 2")
_MS_SSIM_MEF = Variant(
    mef.mef_ms_ssim, "not Wang's index but the multi-scale MEF-SSIM (MEF_MS_SSIM), one value for both sources"
)

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            "default",
            "The definitions of the papers, in the forms that most tables use: MI in bits, VIF and SSIM with"
            " L = 255 added over both sources, SD and all others on levels 0..255. No known mistakes.",
        ),
        Convention(
            "tang",
            "Tables made with L. Tang's MATLAB evaluation (MaeFuse and many others). Known mistakes: MI"
            " merges the levels 254 and 255, SSIM takes L = 1 on levels 0..255, MS_SSIM is MEF_MS_SSIM,"
            " PSNR is 48.13 dB too large, Nabf gets its images in the wrong order.",
            {
                "MI": Variant(
                    information.mi_saturated, "levels 254 and 255 count as one in the joint histogram"
                ),
                "SSIM": Variant(
                    structure.ssim_mean_unit_span, "mean of both sources, border repeated, L = 1"
                ),
                "MS_SSIM": _MS_SSIM_MEF,
                "MSE": Variant(statistics.mse_unit_range, "of images 0..1: divided by 255^2"),
                "PSNR": Variant(
                    statistics.psnr_mixed_ranges, "peak 255 over the MSE of images 0..1: + 48.13 dB"
                ),
                "Nabf": Variant(
                    petrovic.nabf_wrong_order, "judges the infrared against the visible and the fused image"
                ),
            },
            to_gray=matlab_gray,
        ),
        Convention(
            "li",
            "Tables of H. Li & X.-J. Wu (DenseFuse, NestFuse, RFN-Nest, CrossFuse). Known mistakes: SD is not"
            " divided by the number of pixels and grows with the image, MI is twice the entropy, MS_SSIM is"
            " MEF_MS_SSIM, Qabf of images 0..1 gives next to nothing where the edges of F and a source are"
            " equal, Nabf of such images weighs all edges alike. Their VIF (MDLatLRR) is VIF_wavelet here,"
            " FMI_w is FMI_wavelet, SSIM_a is SSIM.",
            {
                "SD": Variant(
                    statistics.sd_not_averaged, "SD / 255 * sqrt(H * W): depends on the image's size"
                ),
                "MI": Variant(information.mi_twice_entropy, "2 * EN, whatever the sources are"),
                "SSIM": Variant(structure.ssim_mean, "mean of both sources, border repeated, L = 255"),
                "MS_SSIM": _MS_SSIM_MEF,
                "Qabf": Variant(gradient.qabf_unit_range, "of images 0..1: equal edges score almost nothing"),
                "Nabf": Variant(
                    petrovic.nabf_unit_range, "of images 0..1: all edges fall below 2 and weigh the same"
                ),
                "VIF_wavelet": Variant(
                    perception_wavelet.vif_wavelet_unit_range,
                    "of images 0..1, while the eye's noise is meant for 0..255: about twofold",
                ),
                "FMI_gradient": Variant(
                    features.fmi_gradient_unit_range, "of images 0..1: rounding tells equal slopes apart"
                ),
            },
            to_gray=matlab_gray,
        ),
        Convention(
            "cddfuse",
            "Tables made with the Python evaluator of CDDFuse (CDDFuse, EMMA and others). Known mistake: SSIM"
            " takes L = 2 on levels 0..255, so its constants vanish. MI is in nats.",
            {
                "MI": _MI_NATS,
                "SSIM": Variant(
                    structure.ssim_uniform_wrong_span, "flat 7x7 window, L = 2, sum of both sources"
                ),
                "AG": _AG_PER_PIXEL,
                "PSNR": Variant(statistics.psnr_own_peak, "the peak is the fused image's greatest level"),
                "VIFF": Variant(perception.vif, "not VIFF: the program gives this name to VIF"),
            },
        ),
        Convention(
            "vifb",
            "Tables of the VIFB benchmark. Color images are scored channel by channel and averaged, with"
            " no gray conversion; SF takes the channels side by side as one wide image, so that the jumps"
            " between them count. MI (Mutinf) is in nats; SD is called Variance there. Known mistake: RMSE is"
            " divided by H * W outside the root, and PSNR takes it for the MSE.",
            {
                "MI": _MI_NATS,
                "SF": Variant(statistics.sf_per_pixel, "both sums divided by H * W", joined=True),
                "RMSE": Variant(statistics.rmse_summed, "root of the sum of squares, divided by H * W"),
                "PSNR": Variant(statistics.psnr_summed, "of that RMSE in place of the MSE"),
            },
            color="channels",
        ),
        Convention(
            "liu",
            "Tables made with imageFusionMetrics, the MATLAB programs of the study of Z. Liu et al."
            " (IEEE TPAMI 34(1), 2012). Known mistakes: Qte exchanges the marginals of each joint histogram;"
            " Qs, Qy and Qc let rounding errors decide in flat windows; Qc cuts the product instead of the"
            " weight; Qe, as mended by its users, ignores the images and squares the Qw of their edges.",
            {
                "Qte": Variant(
                    information.qte_exchanged, "of stretched images, the marginals of each pair exchanged"
                ),
                "Qs": Variant(
                    structure_weighted.qs_ordered,
                    "where both sources are flat, rounding errors share them out",
                ),
                "Qe": Variant(
                    structure_weighted.qe_squared, "the edge maps' Qw squared, without the images'"
                ),
                "Qy": Variant(
                    structure_weighted.qy_ordered, "flat windows are compared by their rounding errors"
                ),
                "Qc": Variant(
                    structure_weighted.qc_cut_product,
                    "a window scores 0 or 1 where one source runs against the fused image; 0 / 0 if flat",
                ),
            },
            to_gray=matlab_gray,
        ),
    )
}


def get_convention(name: str) -> Convention:
    """Return the convention of that name.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    if name not in CONVENTIONS:
        raise UnknownNameError("convention", name, CONVENTIONS)
    return CONVENTIONS[name]
