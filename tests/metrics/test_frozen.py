"""Values on the synthetic scene, frozen when the metrics matched the reference programs."""

from __future__ import annotations

import pytest

from ivfuse.metrics import CONVENTIONS, METRICS, Sources, Triple

# Targets and naturalness need scenes of their own: see test_targets.py, test_naturalness.py, test_seeing.py.
WHOLE = [name for name, each in METRICS.items() if each.family == "images"]
NEED_SIZE = {"MS_SSIM", "VIF_wavelet"}  # these have no value on the small scene

FROZEN = [
    ("default", "FMI_pixel", 0.958616992),
    ("default", "FMI_raw", 0.4739421495),
    ("default", "FMI_gradient", 0.4777505975),
    ("default", "FMI_dct", 0.3756858017),
    ("default", "FMI_wavelet", 0.4858236474),
    ("default", "Qm", 0.4289882827),
    ("default", "Qsf", -0.2956174159),
    ("default", "EPI", 0.7387431429),
    ("default", "Qabf", 0.7025527377),
    ("default", "AG", 11.04385539),
    ("default", "Qg", 0.6556235394),
    ("default", "EI", 102.7820929),
    ("default", "EN", 7.023741248),
    ("default", "MI", 5.188993958),
    ("default", "CE", 0.8411823911),
    ("default", "NMI", 0.7605776768),
    ("default", "Qncie", 0.8179468519),
    ("default", "Qte", 0.4005040268),
    ("default", "MEF_SSIM", 0.9322090083),
    ("default", "MEF_MS_SSIM", 0.8976410433),
    ("default", "VIF", 0.6776462288),
    ("default", "Qcb", 0.7095465244),
    ("default", "Qcv", 541.5925441),
    ("default", "Qp", 0.66063896),
    ("default", "VIFF", 0.4412115234),
    ("default", "VIF_wavelet", 0.3684199959),
    ("default", "Qabf_petrovic", 0.8510715925),
    ("default", "Labf", 0.1488646467),
    ("default", "Nabf", 6.376088642e-05),
    ("default", "Nabf_petrovic", 0.0002377724192),
    ("default", "SD", 41.29981845),
    ("default", "SF", 30.28017177),
    ("default", "CC", 0.6912692413),
    ("default", "SCD", 1.691453284),
    ("default", "MSE", 2567.993555),
    ("default", "RMSE", 48.35965529),
    ("default", "PSNR", 14.03486431),
    ("default", "SSIM", 1.075195889),
    ("default", "MS_SSIM", 1.053435289),
    ("default", "UQI", 0.9591736146),
    ("default", "Qs", 0.8712753945),
    ("default", "Qw", 0.8124854183),
    ("default", "Qe", 0.6056524257),
    ("default", "Qy", 0.9136588058),
    ("default", "Qc", 0.8922517955),
    ("tang", "MI", 5.2044423),
    ("tang", "SSIM", 0.4853033084),
    ("tang", "MS_SSIM", 0.8409746754),
    ("tang", "MSE", 0.03949240376),
    ("tang", "PSNR", 62.16566792),
    ("tang", "Nabf", 0.03109693692),
    ("li", "SD", 11.5889194),
    ("li", "MI", 14.0474825),
    ("li", "SSIM", 0.5443269823),
    ("li", "MS_SSIM", 0.8409746754),
    ("li", "Qabf", 0.7042014155),
    ("li", "Nabf", 0.006283880887),
    ("li", "VIF_wavelet", 0.6261269885),
    ("li", "FMI_gradient", 0.4777505975),
    ("cddfuse", "MI", 3.596736532),
    ("cddfuse", "SSIM", 0.9522049872),
    ("cddfuse", "AG", 10.73540396),
    ("cddfuse", "PSNR", 13.96647113),
    ("cddfuse", "VIFF", 0.6776462288),
    ("vifb", "MI", 3.596736532),
    ("vifb", "SF", 30.06373438),
    ("vifb", "RMSE", 0.6758467288),
    ("vifb", "PSNR", 49.83232145),
    ("liu", "Qte", 0.523336187),
    ("liu", "Qs", 0.8712753945),
    ("liu", "Qe", 0.5556684911),
    ("liu", "Qy", 0.9136588058),
    ("liu", "Qc", 0.5834161472),
]


@pytest.mark.parametrize(("convention", "name", "expected"), FROZEN)
def test_a_value_on_the_synthetic_scene_stays_what_it_was(
    scene_of, convention: str, name: str, expected: float
) -> None:
    scene = scene_of(170, 177) if name in NEED_SIZE else scene_of(64, 80)
    triple = Triple(Sources(scene.ir, scene.vi), scene.fused)
    # printed with ten digits; libraries may order their sums differently
    assert CONVENTIONS[convention].variant(name).function(triple) == pytest.approx(expected, rel=1e-8)


TALL = {  # 203 rows: more than one band of rows in every metric, and an odd number of them
    "FMI_pixel": 0.8973687332,
    "FMI_raw": 0.3954401201,
    "FMI_gradient": 0.3861118804,
    "FMI_dct": 0.2737855259,
    "FMI_wavelet": 0.3728463374,
    "Qm": 0.3876079942,
    "Qsf": -0.2718573506,
    "EPI": 0.6612861389,
    "Qabf": 0.5690354395,
    "AG": 8.548230594,
    "Qg": 0.4395452238,
    "EI": 80.9064339,
    "EN": 6.560438873,
    "MI": 3.314818985,
    "CE": 0.7666289825,
    "NMI": 0.5208459669,
    "Qncie": 0.8082864395,
    "Qte": 0.2925639401,
    "MEF_SSIM": 0.7169834187,
    "MEF_MS_SSIM": 0.6999397693,
    "VIF": 0.6285008518,
    "Qcb": 0.5378640953,
    "Qcv": 597.8707257,
    "Qp": 0.7118500782,
    "VIFF": 0.3216119902,
    "VIF_wavelet": 0.3438135273,
    "Qabf_petrovic": 0.6885348303,
    "Labf": 0.2924963748,
    "Nabf": 0.01896879494,
    "Nabf_petrovic": 0.08972166638,
    "SD": 53.53380868,
    "SF": 24.32755347,
    "CC": 0.6623361148,
    "SCD": 1.463091065,
    "MSE": 5354.636526,
    "RMSE": 63.56068492,
    "PSNR": 10.84350365,
    "SSIM": 0.9775777291,
    "MS_SSIM": 0.9937235244,
    "UQI": 0.7284169588,
    "Qs": 0.6574512171,
    "Qw": 0.7021938566,
    "Qe": 0.4229370624,
    "Qy": 0.701771617,
    "Qc": 0.6607168296,
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_value_on_a_image_of_several_bands_stays_what_it_was(scene_of, name: str) -> None:
    tall = scene_of(203, 170)
    triple = Triple(Sources(tall.ir, tall.vi), tall.fused)
    assert METRICS[name].function(triple) == pytest.approx(TALL[name], rel=1e-8)


def test_every_metric_and_every_variant_has_a_frozen_value() -> None:
    expected = {("default", name) for name in WHOLE}
    expected |= {(each.name, name) for each in CONVENTIONS.values() for name in each.variants}
    assert {(convention, name) for convention, name, _ in FROZEN} == expected
