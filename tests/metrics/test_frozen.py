"""Values on the synthetic scene, frozen when the metrics matched the reference programs."""

from __future__ import annotations

import pytest

from ivfuse.metrics import CONVENTIONS, METRICS, Sources, Triple

FROZEN = [
    ("default", "Qabf", 0.7025527377),
    ("default", "AG", 11.04385539),
    ("default", "EN", 7.023741248),
    ("default", "MI", 5.188993958),
    ("default", "VIF", 0.6776462288),
    ("default", "SD", 41.29981845),
    ("default", "SF", 30.28017177),
    ("default", "CC", 0.6912692413),
    ("default", "SCD", 1.691453284),
    ("default", "SSIM", 1.075195889),
    ("tang", "MI", 5.2044423),
    ("tang", "SSIM", 0.4853033084),
    ("li", "SD", 11.5889194),
    ("li", "MI", 14.0474825),
    ("li", "SSIM", 0.5443269823),
    ("li", "Qabf", 0.7042014155),
    ("cddfuse", "MI", 3.596736532),
    ("cddfuse", "SSIM", 0.9522049872),
    ("cddfuse", "AG", 10.73540396),
    ("vifb", "MI", 3.596736532),
    ("vifb", "SF", 30.06373438),
    ("default", "CE", 0.8411823911),
    ("default", "NMI", 0.7605776768),
    ("default", "Qncie", 0.8179468519),
    ("default", "Qte", 0.4005040268),
    ("default", "MSE", 2567.993555),
    ("default", "RMSE", 48.35965529),
    ("default", "PSNR", 14.03486431),
    ("tang", "MSE", 0.03949240376),
    ("tang", "PSNR", 62.16566792),
    ("cddfuse", "PSNR", 13.96647113),
    ("vifb", "RMSE", 0.6758467288),
    ("vifb", "PSNR", 49.83232145),
    ("liu", "Qte", 0.523336187),
    ("default", "Qg", 0.6556235394),
    ("default", "EI", 102.7820929),
    ("default", "Qabf_petrovic", 0.8510715925),
    ("default", "Labf", 0.1488646467),
    ("default", "Nabf", 6.376088642e-05),
    ("default", "Nabf_petrovic", 0.0002377724192),
    ("tang", "Nabf", 0.03109693692),
    ("li", "Nabf", 0.006283880887),
]


@pytest.mark.parametrize(("convention", "name", "expected"), FROZEN)
def test_a_value_on_the_synthetic_scene_stays_what_it_was(
    scene, convention: str, name: str, expected: float
) -> None:
    triple = Triple(Sources(scene.ir, scene.vi), scene.fused)
    # printed with ten digits; libraries may order their sums differently
    assert CONVENTIONS[convention].variant(name).function(triple) == pytest.approx(expected, rel=1e-8)


TALL = {  # 203 rows: more than one band of rows in every metric, and an odd number of them
    "Qabf": 0.5050207729,
    "AG": 8.009631661,
    "EN": 6.47623389,
    "MI": 3.830404391,
    "VIF": 0.526393115,
    "SD": 57.49747154,
    "SF": 23.50422491,
    "CC": 0.6921915618,
    "SCD": 1.331627595,
    "SSIM": 0.9395557858,
    "CE": 0.946828602,
    "NMI": 0.6207067187,
    "Qncie": 0.8104034951,
    "Qte": 0.3173348909,
    "MSE": 6193.898593,
    "RMSE": 69.38467212,
    "PSNR": 10.2111627,
    "Qg": 0.3717279676,
    "EI": 75.06510421,
    "Qabf_petrovic": 0.5304710197,
    "Labf": 0.4524800805,
    "Nabf": 0.01704889981,
    "Nabf_petrovic": 0.06419987678,
}


@pytest.mark.parametrize("name", METRICS)
def test_a_value_on_a_picture_of_several_bands_stays_what_it_was(scene_of, name: str) -> None:
    tall = scene_of(203, 70)
    triple = Triple(Sources(tall.ir, tall.vi), tall.fused)
    assert METRICS[name].function(triple) == pytest.approx(TALL[name], rel=1e-8)


def test_every_metric_and_every_variant_has_a_frozen_value() -> None:
    expected = {("default", name) for name in METRICS}
    expected |= {(each.name, name) for each in CONVENTIONS.values() for name in each.variants}
    assert {(convention, name) for convention, name, _ in FROZEN} == expected
