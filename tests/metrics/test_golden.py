"""The metrics agree with the programs that made the published tables; their values lie in ../shared."""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ivfuse.metrics import (
    DEFAULT_METRICS,
    METRICS,
    Sources,
    Triple,
    Undefined,
    get_convention,
    score_many,
    structure,
)
from ivfuse.metrics.filters import halved
from ivfuse.metrics.triple import CachedImage

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
ORACLE = SHARED / "oracle" / "metrics"
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not ORACLE.is_dir(), reason=f"the reference values are not here: {ORACLE}"),
]

EXACT = 1e-6
SINGLE = 1e-4  # these programs compute in float32

# (metric in golden.csv, program) -> (convention, relative tolerance)
MATCHES = {
    **{("EN", program): ("default", EXACT) for program in ("linfeng_matlab", "bfliu7_vifb_python")},
    ("EN", "hli_matlab"): ("li", EXACT),
    ("EN", "vifb_matlab"): ("vifb", EXACT),
    ("EN", "cddfuse_evaluator"): ("cddfuse", EXACT),
    ("EN", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    **{("SD", program): ("default", EXACT) for program in ("linfeng_python", "thfylsty_matlab")},
    ("SD", "linfeng_matlab"): ("tang", EXACT),
    ("SD", "vifb_matlab"): ("vifb", EXACT),
    ("SD", "hli_matlab"): ("li", EXACT),
    ("SD", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("SD", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("SD", "ivif_zoo"): ("default", SINGLE),
    ("SF", "linfeng_matlab"): ("tang", EXACT),
    ("SF", "linfeng_python"): ("default", EXACT),
    ("SF", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("SF", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("SF", "ivif_zoo"): ("default", SINGLE),
    ("SF", "vifb_matlab"): ("vifb", EXACT),
    ("SF", "thfylsty_matlab"): ("vifb", EXACT),
    ("AG", "linfeng_matlab"): ("tang", EXACT),
    ("AG", "linfeng_python"): ("default", EXACT),
    ("AG", "vifb_matlab"): ("vifb", EXACT),
    ("AG", "bfliu7_vifb_python"): ("vifb", EXACT),
    ("AG", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("AG", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("AG", "ivif_zoo"): ("cddfuse", SINGLE),
    ("CC", "linfeng_matlab"): ("tang", EXACT),
    ("CC", "thfylsty_matlab"): ("default", EXACT),
    ("CC", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("CC", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("CC", "ivif_zoo"): ("default", SINGLE),
    ("MI", "linfeng_matlab"): ("tang", EXACT),
    ("MI", "linfeng_matlab_nosat"): ("default", EXACT),
    ("MI", "linfeng_python"): ("default", EXACT),
    ("MI", "ivif_zoo"): ("default", EXACT),
    ("MI", "hli_matlab"): ("li", EXACT),
    ("MI", "vifb_matlab"): ("vifb", EXACT),
    ("MI", "cddfuse_evaluator"): ("cddfuse", EXACT),
    ("MI", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("SCD", "linfeng_matlab"): ("tang", EXACT),
    ("SCD", "hli_matlab"): ("li", EXACT),
    ("SCD", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("SCD", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("SCD", "ivif_zoo"): ("default", SINGLE),
    ("VIF", "linfeng_matlab"): ("tang", EXACT),
    ("VIF", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("VIF", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("VIF", "sewar_sum"): ("default", EXACT),
    ("Qabf", "linfeng_matlab"): ("tang", EXACT),
    ("Qabf", "linfeng_python"): ("default", EXACT),
    ("Qabf", "vifb_matlab"): ("vifb", EXACT),
    ("Qabf", "hli_matlab"): ("li", EXACT),
    ("Qabf", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("Qabf", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("Qabf", "ivif_zoo"): ("default", SINGLE),
    ("SSIM", "linfeng_matlab"): ("tang", EXACT),
    ("SSIM", "linfeng_matlab_on01"): ("li", EXACT),
    ("SSIM", "linfeng_matlab_uint8"): ("li", EXACT),
    ("SSIM_a", "hli_matlab"): ("li", EXACT),
    ("SSIM", "vifb_matlab"): ("vifb", EXACT),
    ("SSIM", "skimage_gauss_dr255_sum"): ("default", EXACT),
    ("SSIM", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("SSIM", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("CE", "vifb_matlab"): ("vifb", EXACT),
    ("CE", "bfliu7_vifb_python"): ("vifb", EXACT),
    ("CE", "thfylsty_matlab"): ("default", EXACT),
    ("Qmi", "zhengliu_matlab"): ("liu", EXACT),
    ("Qncie", "zhengliu_matlab"): ("liu", EXACT),
    ("Qte", "zhengliu_matlab"): ("liu", EXACT),
    ("MSE", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("MSE", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("MSE", "sewar_mean"): ("default", EXACT),
    ("MSE", "linfeng_matlab"): ("tang", EXACT),
    ("MSE", "linfeng_python"): ("tang", EXACT),
    ("MSE", "cidanshi_evaluator"): ("tang", SINGLE),
    ("MSE", "ivif_zoo"): ("tang", SINGLE),
    ("RMSE", "vifb_matlab"): ("vifb", EXACT),
    ("RMSE", "sewar_mean"): ("default", EXACT),
    ("PSNR", "cddfuse_evaluator"): ("cddfuse", SINGLE),
    ("PSNR", "cddfuse_evaluator_f64"): ("cddfuse", EXACT),
    ("PSNR", "linfeng_matlab"): ("tang", EXACT),
    ("PSNR", "linfeng_python"): ("tang", EXACT),
    ("PSNR", "ivif_zoo"): ("tang", SINGLE),
    ("PSNR", "vifb_matlab"): ("vifb", EXACT),
    ("PSNR", "bfliu7_vifb_python"): ("vifb", EXACT),
    ("EI", "vifb_matlab"): ("vifb", EXACT),
    ("EI", "thfylsty_matlab"): ("default", EXACT),
    ("Qg", "zhengliu_matlab"): ("liu", EXACT),
    ("Nabf", "numpy_port_cbf_on255"): ("default", EXACT),
    ("Nabf", "cbf_matlab"): ("default", EXACT),
    ("Nabf", "hli_nabf_on255"): ("default", EXACT),
    ("Nabf", "hli_matlab"): ("li", EXACT),
    ("Nabf", "numpy_port_hli_on01"): ("li", EXACT),
    ("Nabf", "linfeng_matlab_buggy_args"): ("tang", EXACT),
    ("Nabf_petrovic", "numpy_port_cbf_on255"): ("default", EXACT),
    ("Nabf_petrovic", "cbf_matlab"): ("default", EXACT),
    ("Labf", "numpy_port_cbf_on255"): ("default", EXACT),
    ("Labf", "cbf_matlab"): ("default", EXACT),
    ("Qabf_petrovic", "numpy_port_cbf_on255"): ("default", EXACT),
    ("Qabf_petrovic", "cbf_matlab"): ("default", EXACT),
    ("MEF_MS_SSIM", "hli_matlab"): ("default", EXACT),
    ("MEF_MS_SSIM", "numpy_port_hli"): ("default", EXACT),
    ("Qs", "zhengliu_matlab"): ("liu", EXACT),
    ("Qw", "zhengliu_matlab"): ("liu", EXACT),
    ("Qw", "thfylsty_matlab"): ("default", EXACT),
    ("Qe", "thfylsty_matlab"): ("liu", EXACT),
    ("Qy", "zhengliu_matlab"): ("liu", EXACT),
    ("Qc", "zhengliu_matlab"): ("liu", EXACT),
    ("VIF_wavelet", "vifvec_on255_mean"): ("default", EXACT),
    ("VIF_wavelet", "hli_matlab_on01_mean"): ("li", EXACT),
    ("VIFF", "thfylsty_matlab"): ("default", EXACT),
    ("Qcb", "vifb_matlab"): ("vifb", EXACT),
    ("Qcb", "zhengliu_matlab"): ("liu", EXACT),
    ("Qcv", "vifb_matlab"): ("vifb", EXACT),
    ("Qcv", "zhengliu_matlab"): ("liu", EXACT),
    ("Qp", "zhengliu_matlab"): ("liu", EXACT),
    ("Qm", "zhengliu_matlab"): ("liu", EXACT),
    ("Qsf", "zhengliu_matlab"): ("liu", EXACT),
    ("EPI", "hli_matlab"): ("li", EXACT),
    **{
        (f"FMI_{feature}", program): (convention, EXACT)
        for feature in ("edge", "none", "dct", "wavelet", "gradient")
        for program, convention in (("fmi_cport", "default"), ("linfeng_matlab_original", "tang"))
    },
    **{
        (f"FMI_{feature}", "hli_matlab_on01_original"): ("li", EXACT)
        for feature in ("edge", "dct", "wavelet", "gradient")
    },
}

ALIASES = {"Qmi": "NMI", "SSIM_a": "SSIM", "FMI_edge": "FMI_pixel", "FMI_none": "FMI_raw"}

# programs whose tables no convention here reproduces, and why
LEFT_OUT = {
    ("EN", "linfeng_python"): "adds 1e-7 inside the logarithm",
    ("EN", "ivif_zoo"): "adds 1e-7 inside the logarithm",
    ("SF", "linfeng_matlab_uint8"): "subtracts 8-bit numbers, which saturates at 0",
    ("SCD", "linfeng_matlab_uint8"): "subtracts 8-bit numbers, which saturates at 0",
    ("AG", "thfylsty_matlab_AverageGradient"): "forward differences",
    ("AG", "thfylsty_matlab_Definition"): "forward differences",
    ("MI", "bfliu7_vifb_python"): "a copy of its cross entropy",
    ("VIF", "ivif_zoo"): "zero padding and an off-center window",
    ("Qabf", "bfliu7_vifb_python"): "other borders, stretched images and orientation in all four quadrants",
    ("SSIM", "cidanshi_evaluator"): "as cddfuse with L = 1",
    ("SSIM", "linfeng_python"): "multiplies images that are 0..255 by 255",
    ("SSIM", "ivif_zoo"): "multiplies images that are 0..255 by 255",
    ("SSIM", "sewar_sum"): "a flat 11x11 window, the default of a general library",
    ("SSIM", "skimage_default_dr255_sum"): "a flat 7x7 window, the default of a general library",
    ("CE", "ivif_zoo"): "binary cross entropy of levels 0..255, which means nothing",
    ("CE", "thfylsty_matlab_myOCE"): "counts the levels 0 and 1 as one",
    ("NMI", "ivif_zoo"): "2 MI over the sources' entropies, another measure of that name",
    ("Qncie", "ivif_zoo"): "Pearson correlations in the matrix",
    ("Qte", "ivif_zoo"): "H(A) + H(B) - H(F), another measure of that name",
    ("PSNR", "cidanshi_evaluator"): "the fused image's own peak over an error of images 0..1",
    ("PSNR", "sewar_mean"): "the mean of the two sources' ratios",
    ("EI", "bfliu7_vifb_python"): "mirrors the border",
    ("EI", "ivif_zoo"): "puts zeros outside the image",
    ("QG", "jilei_matlab"): "mirrored border, orientation in all four quadrants, images 0..1",
    ("Nabf", "ivif_zoo"): "weak edges weigh nothing",
    ("MS_SSIM", "ivif_zoo"): "multiplies images that are 0..255 by 255",
    ("MS_SSIM", "linfeng_python"): "multiplies images that are 0..255 by 255",
    ("MS_SSIM", "sewar_sum"): "a general library that halves with shifted cells (checked below)",
    ("UQI", "sewar_sum"): "a general library that takes the means of windows for their sums (checked below)",
    ("Qy", "ivif_zoo"): "a window that does not sum to 1",
    ("Qcb", "bfliu7_vifb_python"): "other frequencies, border repeated",
    ("Qcb", "ivif_zoo"): "other frequencies, images stretched to 0..1",
    ("Qcv", "bfliu7_vifb_python"): "resized maps, values of another order of magnitude and below 0",
    ("Qte_cvejic", "zhengliu_matlab"): "of order 1.85 and not normalized: values beyond 1000, in no table",
    ("FMI_edgeoct", "fmi_cport"): "Octave's edge detector; the tables come from MATLAB's",
}


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def golden() -> list[tuple[str, str, str, float]]:
    if not ORACLE.is_dir():
        return []
    with (ORACLE / "golden.csv").open() as file:
        return [
            (r["metric"], r["implementation"], r["triple"], float(r["value"])) for r in csv.DictReader(file)
        ]


@cache
def triple(name: str) -> Triple:
    ir, vi, fused = (read(ORACLE / "triples" / name / f"{part}.png") for part in ("ir", "vi", "fused"))
    return Triple(Sources(ir, vi), fused)


@pytest.mark.parametrize("key", MATCHES, ids="-".join)
def test_a_convention_gives_the_numbers_of_the_program_it_stands_for(key: tuple[str, str]) -> None:
    convention, tolerance = MATCHES[key]
    name = ALIASES.get(key[0], key[0])
    rows = [row for row in golden() if row[:2] == key]
    assert rows
    for _, _, where, expected in rows:
        function = get_convention(convention).variant(name).function
        if math.isnan(expected):
            with pytest.raises(Undefined):
                function(triple(where))
        else:
            assert function(triple(where)) == pytest.approx(expected, rel=tolerance, abs=0), where


def test_every_reference_value_is_matched_or_left_out_with_a_reason() -> None:
    known = {row[:2] for row in golden()}
    assert known == MATCHES.keys() | LEFT_OUT.keys()
    assert not MATCHES.keys() & LEFT_OUT.keys()


LARGE = ("tno_ir4_rfnnest", "tno_24_lap", "road_04424_max")  # sides above 176


def reference(metric: str, program: str, where: str) -> float:
    (value,) = (row[3] for row in golden() if row[:3] == (metric, program, where))
    return value


@pytest.mark.parametrize("where", LARGE)
def test_ms_ssim_differs_from_sewar_in_the_halving_alone(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sewar averages each pixel with those before it; on smaller images its last scale has no window."""

    def shifted(image: CachedImage, scale: int) -> np.ndarray:
        plane = image.values
        for _ in range(scale):
            height, width = ((side + 1) // 2 for side in plane.shape)
            plane = halved(np.pad(plane, ((1, 0), (1, 0)), mode="edge"))[:height, :width]
        return plane

    ours = METRICS["MS_SSIM"].function(triple(where))
    theirs = reference("MS_SSIM", "sewar_sum", where)
    assert ours != pytest.approx(theirs, rel=1e-3)
    monkeypatch.setattr(structure, "scaled", shifted)
    assert METRICS["MS_SSIM"].function(triple(where)) == pytest.approx(theirs, rel=EXACT)


def box_means(values: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, (8, 8)).mean(axis=(2, 3))


@pytest.mark.parametrize("where", ["crop64_tno_ir4_crossfuse", "crop72x80_road_04424_max"])
@pytest.mark.parametrize("total", [1, 64], ids=["sewar", "ours"])
def test_uqi_differs_from_sewar_in_means_taken_for_sums(where: str, total: int) -> None:
    """The formula of the paper, written down plainly; with ``total`` 1 it has sewar's means for sums."""
    images = triple(where)
    result = 0.0
    for pair in images.pairs:
        a, b = pair.first.values, pair.second.values
        sa, sb, saa, sbb, sab = (box_means(each) * total for each in (a, b, a * a, b * b, a * b))
        below = (64 * (saa + sbb) - sa * sa - sb * sb) * (sa * sa + sb * sb)
        some = below != 0
        index = np.ones_like(below)
        index[some] = (4 * (64 * sab - sa * sb) * sa * sb)[some] / below[some]
        cut = slice(0, -1)  # that library leaves out the last window of each row and column
        result += index[cut, cut].mean() if total == 1 else index.mean()
    expected = reference("UQI", "sewar_sum", where) if total == 1 else METRICS["UQI"].function(images)
    assert result == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("convention", ["li", "tang"])
def test_ms_ssim_of_these_tables_is_the_multi_scale_mef_ssim(convention: str) -> None:
    found = get_convention(convention).variant("MS_SSIM").function(triple("tno_24_lap"))
    assert found == pytest.approx(reference("MEF_MS_SSIM", "hli_matlab", "tno_24_lap"), rel=EXACT)


VIFB = {
    "Avg_gradient": "AG",
    "Cross_entropy": "CE",
    "Edge_intensity": "EI",
    "Entropy": "EN",
    "Mutinf": "MI",
    "Psnr": "PSNR",
    "Qabf": "Qabf",
    "Qcb": "Qcb",
    "Qcv": "Qcv",
    "Rmse": "RMSE",
    "Spatial_frequency": "SF",
    "Ssim": "SSIM",
    "Variance": "SD",
}


@cache
def vifb_published() -> dict[tuple[str, str], dict[str, str]]:
    table: dict[tuple[str, str], dict[str, str]] = {}
    with (ORACLE / "vifb" / "published.csv").open() as file:
        for row in csv.DictReader(file):
            if row["metric"] in VIFB:
                table.setdefault((row["image"], row["method"]), {})[VIFB[row["metric"]]] = row["value"]
    return table


@pytest.mark.slow
@pytest.mark.parametrize("image", ["carLight", "fight", "kettle", "manCall", "walking"])
def test_vifb_gives_the_published_numbers_to_their_last_printed_digit(image: str) -> None:
    root = ORACLE / "vifb"
    ir, vi = read(root / "IR" / f"{image}.jpg"), read(root / "VI" / f"{image}.jpg")
    methods = [method for where, method in vifb_published() if where == image]
    fused = {method: read(root / "fused" / f"{image}_{method}.jpg") for method in methods}
    found = score_many(fused, ir, vi, VIFB.values(), "vifb")
    assert methods
    for method in methods:
        for name, text in vifb_published()[image, method].items():
            half_a_digit = 0.501 * 10.0 ** -len(text.partition(".")[2])
            assert found[method].values[name] == pytest.approx(float(text), abs=half_a_digit, rel=0), name


BASELINES = {
    "roadscene/val": {
        "average": (6.715, 34.578, 8.715, 3.115, 1.300, 0.567, 0.396, 1.497, 0.683),
        "maximum": (7.041, 43.581, 11.722, 7.414, 1.203, 0.786, 0.546, 1.381, 0.599),
    },
    "tno_val": {
        "average": (6.489, 31.810, 8.601, 3.124, 1.254, 0.615, 0.353, 1.527, 0.730),
        "maximum": (6.747, 41.626, 13.276, 6.970, 1.213, 0.920, 0.584, 1.405, 0.644),
    },
    "msrs640": {
        "average": (5.691, 23.319, 4.259, 2.680, 1.182, 0.639, 0.336, 1.542, 0.695),
        "maximum": (6.611, 42.141, 7.705, 6.496, 1.667, 1.014, 0.679, 1.478, 0.645),
    },
}


@pytest.mark.parametrize("folder", BASELINES)
def test_the_default_convention_gives_the_baselines_of_the_validation_sets(folder: str) -> None:
    to_gray = get_convention("default").to_gray
    rows: dict[str, list[list[float]]] = {"average": [], "maximum": []}
    for path in sorted((SHARED / "data" / folder / "ir").iterdir()):
        (other,) = (SHARED / "data" / folder / "vi").glob(f"{path.stem}.*")
        ir, vi = (to_gray(array) if array.ndim == 3 else array for array in (read(path), read(other)))
        average = np.rint((ir.astype(float) + vi) / 2).astype(np.uint8)
        found = score_many(
            {"average": average, "maximum": np.maximum(ir, vi)}, ir, vi, (*DEFAULT_METRICS, "CC")
        )
        for method, scores in found.items():
            rows[method].append(list(scores.values.values()))
    for method, expected in BASELINES[folder].items():
        # printed with three decimals
        assert np.mean(rows[method], axis=0) == pytest.approx(expected, abs=0.00051), method
