"""A pair goes in over HTTP, an image comes out; what cannot be used is refused in one sentence."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse
from ivfuse.image.decode import decode
from ivfuse.runtime.limits import pixel_limit
from ivfuse.server.jobs import JobRunner
from ivfuse.synthetic.street import street_scene

from .conftest import Running


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_pair_becomes_the_image_that_the_library_makes(server: Running, ir: bytes, vi: bytes) -> None:
    answer = server.fuse(ir, vi, method="laplacian")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["x-ivfuse-method"] == "laplacian"
    expected = ivfuse.fuse(decoded(ir), decoded(vi)[..., ::-1], "laplacian")
    assert np.array_equal(decoded(answer.content)[..., ::-1], np.rint(expected * 255))


def test_the_default_method_is_used_where_none_is_named(server: Running, ir: bytes, vi: bytes) -> None:
    default = server.client.get("/api/methods").json()["default"]
    assert server.fuse(ir, vi).headers["x-ivfuse-method"] == default


@pytest.mark.parametrize(
    ("fields", "kind", "dtype", "channels"),
    [
        ({"format": "jpeg"}, "image/jpeg", np.uint8, 3),
        ({"bits": "16"}, "image/png", np.uint16, 3),
        ({"gray": "true"}, "image/png", np.uint8, 1),
        ({"colormap": "iron"}, "image/png", np.uint8, 3),
        ({"colormap": "black-hot", "window": "40..200"}, "image/png", np.uint8, 1),
    ],
)
def test_fields_choose_what_comes_back(
    server: Running, ir: bytes, vi: bytes, fields: dict[str, str], kind: str, dtype: Any, channels: int
) -> None:
    answer = server.fuse(ir, vi, method="average", **fields)
    image = decoded(answer.content)
    assert answer.headers["content-type"] == kind
    assert (image.dtype, 1 if image.ndim == 2 else image.shape[2]) == (dtype, channels)


def test_json_holds_image_sources_range_and_scores(
    server: Running, vi: bytes, encode: Callable[..., bytes]
) -> None:
    counts = np.linspace(29_000, 31_000, 40 * 56).reshape(40, 56).astype(np.uint16)
    fields = {
        "format": "json",
        "previews": "true",
        "metrics": "EN, SD",
        "scale": "0.01K",
        "method": "average",
    }
    said = server.fuse(encode(".png", counts), vi, **fields).json()
    assert decoded(base64.b64decode(said["image"])).shape == (40, 56, 3)
    assert decoded(base64.b64decode(said["infrared"])).shape == (40, 56)
    assert decoded(base64.b64decode(said["visible"])).shape == (40, 56, 3)
    counted = said["thermal"].pop("histogram")
    assert (len(counted), sum(counted)) == (128, 40 * 56)
    assert said["thermal"] == pytest.approx(
        {"min": 16.85, "max": 36.85, "low": 17.05, "high": 36.65, "unit": "C"}, abs=0.01
    )
    assert list(said["scores"]["values"]) == ["EN", "SD"]
    assert any("window" in note for note in said["notes"])


@pytest.mark.parametrize("frame", [0, 40])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("size", [(96, 128), (48, 64)])
def test_scores_are_those_of_the_saved_files(
    server: Running,
    tmp_path: Path,
    encode: Callable[..., bytes],
    frame: int,
    deep: bool,
    size: tuple[int, int],
) -> None:
    scene = street_scene(96, 128, seed=3)
    thermal = cv2.resize(0.3 + 0.7 * scene.ir, size[::-1])
    thermal[:, size[1] - frame * size[1] // 128 :] = 0  # of an image that was warped before
    stored = (thermal * 20_000).astype(np.uint16) if deep else np.rint(thermal * 255).astype(np.uint8)
    files = {"ir": encode(".png", stored), "vi": encode(".png", np.rint(scene.vi * 255).astype(np.uint8))}
    fields = {"format": "json", "metrics": "EN, SCD, Qabf", "method": "average"}
    said = server.fuse(files["ir"], files["vi"], **fields).json()
    assert any("black frame" in note for note in said["notes"]) is (frame > 0)
    files["fused"] = base64.b64decode(said["image"])
    for name, data in files.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    paths = [tmp_path / f"{name}.png" for name in ("fused", "ir", "vi")]
    expected = ivfuse.evaluate(*paths, metrics=["EN", "SCD", "Qabf"])
    assert said["scores"]["values"] == pytest.approx(expected, abs=1e-9)


def test_a_pair_with_a_black_frame_is_read_once_for_its_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = street_scene(96, 128, seed=3)
    thermal = np.rint(255 * (0.3 + 0.7 * scene.ir)).astype(np.uint8)
    thermal[:, 88:] = 0
    for name, pixels in (("ir", thermal), ("vi", np.rint(255 * scene.vi).astype(np.uint8))):
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.name)
        return decode(path)

    monkeypatch.setattr("ivfuse.image.read.decode", counted)
    options = {"method": "average", "metrics": ["EN"]}
    message = {"job": "fuse", "folder": str(tmp_path), "files": ["ir", "vi"], "options": options}
    result = JobRunner(pixel_limit(), threads=1).run(message)
    assert any("black frame" in note for note in result["notes"])
    assert result["scores"]["values"]["EN"] > 0
    assert sorted(read) == ["ir", "vi"]


@pytest.mark.parametrize("window", ["percentile", "plateau", "29500..30500"])
def test_counts_without_a_scale_have_a_range_in_counts(
    server: Running, vi: bytes, encode: Callable[..., bytes], window: str
) -> None:
    counts = np.linspace(29_000, 31_000, 40 * 56).reshape(40, 56).astype(np.uint16)
    fields = {"format": "json", "previews": "true", "method": "average", "window": window}
    thermal = server.fuse(encode(".png", counts), vi, **fields).json()["thermal"]
    low, high = {"percentile": (29_020, 30_980), "plateau": (29_000, 31_000)}.get(window, (29_500, 30_500))
    assert sum(thermal.pop("histogram")) == 40 * 56
    assert thermal == pytest.approx(
        {"min": 29_000, "max": 31_000, "low": low, "high": high, "unit": "counts"}, abs=1
    )


def test_one_radiometric_file_gives_both_images(server: Running, flir: Any) -> None:
    counts = flir.counts_of(np.linspace(10, 40, 48 * 64).reshape(48, 64))
    photo = np.full((96, 128, 3), 90, np.uint8)
    photo[20:60, 30:90] = (200, 120, 40)
    file = flir.Flir(counts, photo=photo).jpeg()
    said = server.fuse(file, format="json", previews="true", method="average").json()
    assert said["thermal"]["unit"] == "C"
    assert said["visible"]
    alone = server.fuse(flir.Flir(counts).jpeg())
    assert alone.status_code == 422
    assert "give a visible image" in alone.json()["error"]


def test_a_dji_file_gives_degrees_where_its_sdk_is_named(
    start: Callable[..., Any],
    dji: Any,
    dji_library: Callable[..., Path],
    encode: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, vi = dji.scene().jpeg(), encode(".png", np.full((64, 96, 3), 90, np.uint8))
    for folder, unit in (("", "counts"), (str(dji_library()), "C")):
        monkeypatch.setenv("DJI_THERMAL_SDK", folder)
        with start() as server:
            answer = server.fuse(file, vi, format="json", previews="true", method="average")
        assert answer.status_code == 200, answer.text
        assert answer.json()["thermal"]["unit"] == unit


def test_scores_are_those_of_the_library(server: Running, ir: bytes, vi: bytes) -> None:
    fused = server.fuse(ir, vi, method="average").content
    answer = server.client.post(
        "/api/metrics", files={"fused": fused, "ir": ir, "vi": vi}, data={"metrics": "EN,Qabf"}
    )
    images = (decoded(fused)[..., ::-1], decoded(ir), decoded(vi)[..., ::-1])
    assert answer.json()["values"] == pytest.approx(ivfuse.evaluate(*images, metrics=["EN", "Qabf"]))


def test_scores_of_counts_and_camera_files_are_those_of_their_files(
    server: Running, flir: Any, encode: Callable[..., bytes], tmp_path: Path
) -> None:
    celsius = np.tile(np.linspace(10, 60, 48), (36, 1))
    camera = flir.Flir(np.rint(flir.counts_of(celsius)).astype(np.uint16)).jpeg()
    counts = encode(".png", np.rint((celsius + 273.15) * 100).astype(np.uint16))
    vi = encode(".png", np.tile(np.arange(0, 252, 7, dtype=np.uint8)[:, None], (1, 48)))
    dark = encode(".png", np.rint(60 * celsius).astype(np.uint16))  # a result, of which all 16 bits count
    for ir in (camera, counts):
        files = {"fused": dark, "ir": ir, "vi": vi}
        paths = [tmp_path / name for name in files]
        for path, data in zip(paths, files.values(), strict=True):
            path.write_bytes(data)
        answer = server.client.post("/api/metrics", files=files, data={"metrics": "EN,SD,MSE"})
        assert answer.status_code == 200, answer.text
        expected = ivfuse.evaluate(*paths, metrics=["EN", "SD", "MSE"])
        assert answer.json()["values"] == pytest.approx(expected)


def test_a_score_without_a_value_says_why(server: Running, encode: Callable[..., bytes]) -> None:
    flat = encode(".png", np.full((20, 20), 9, np.uint8))
    said = server.client.post("/api/metrics", files={"fused": flat, "ir": flat, "vi": flat}).json()
    undefined = [name for name, value in said["values"].items() if value is None]
    assert undefined
    assert set(undefined) == set(said["reasons"])


def test_the_server_tells_what_it_can_do(server: Running) -> None:
    can = server.client.get("/api/methods").json()
    assert [method["name"] for method in can["methods"]] == ivfuse.list_methods()
    assert can["limits"] == {"upload_bytes": 3_000_000, "pixels": 1_000_000, "seconds": 30.0}
    iron = next(each for each in can["colormaps"] if each["name"] == "iron")
    assert (iron["colors"][0], iron["colors"][-1]) == ("#00000a", "#ffffff")


def test_the_sample_is_a_pair_that_fuses(server: Running) -> None:
    pair = [server.client.get(f"/api/sample/night/{name}").content for name in ("infrared", "visible")]
    assert decoded(pair[0]).dtype == np.uint16
    assert server.fuse(*pair, scale="0.01K", method="average").status_code == 200


def test_health_and_counters_are_told(server: Running) -> None:
    assert server.client.get("/healthz").json()["status"] == "ok"
    before = server.total("ivfuse_requests_total")
    server.client.get("/no/such/place")
    text = server.client.get("/metrics").text
    assert server.total("ivfuse_requests_total") > before
    assert "/no/such/place" not in text
    assert 'ivfuse_requests_total{path="/api/methods",status="200"}' in text
    assert server.total("ivfuse_worker_memory_bytes") > 1e6


@pytest.mark.parametrize("path", ["/", "/docs", "/static/app.js", "/openapi.json", "/healthz"])
def test_every_answer_bears_the_headers_that_keep_a_page_safe(server: Running, path: str) -> None:
    headers = server.client.get(path).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere_and_hold_no_program(server: Running, page: str) -> None:
    text = server.client.get(page).text
    assert "http://" not in text
    assert "https://" not in text
    assert "<style" not in text
    assert "style=" not in text
    assert text.count("<script") == text.count('<script type="module" src="/static/')


def test_a_pair_is_registered_with_a_score(server: Running, encode: Callable[..., bytes]) -> None:
    scene = street_scene(300, 400, seed=3, time="day")
    away = 16, 10  # columns and rows that the thermal camera sees further to the lower right
    ir = encode(".png", np.rint(scene.ir[away[1] :, away[0] :] * 255))
    vi = encode(".png", np.rint(scene.vi[: -away[1], : -away[0], ::-1] * 255))
    said = server.client.post("/api/register", files={"ir": ir, "vi": vi}).json()
    assert said["found"], said
    assert 0.3 < said["score"] <= 1
    middle = np.array(said["matrix"]) @ [190, 145, 1]
    assert middle[:2] / middle[2] == pytest.approx([190 + away[0], 145 + away[1]], abs=2)
    assert decoded(base64.b64decode(said["image"])).shape == (290, 384)
    fused = server.fuse(ir, vi, register="true", format="json", method="average", previews="true").json()
    assert fused["registration"]["matrix"] == said["matrix"]


def test_a_pair_that_cannot_be_registered_is_left_and_said_so(server: Running, ir: bytes, vi: bytes) -> None:
    said = server.fuse(ir, vi, register="true", format="json", method="average").json()
    assert not said["registration"]["found"]
    assert said["registration"]["summary"].endswith("the pair was left as it is.")
    alone = server.fuse(ir, vi, register="true", method="average")
    assert (alone.status_code, alone.json()["error"][:10]) == (422, "register: ")


def test_strength_0_gives_the_visible_and_others_are_refused(server: Running, ir: bytes, vi: bytes) -> None:
    none = decoded(server.fuse(ir, vi, method="average", strength="0").content).astype(int)
    assert np.abs(none - decoded(vi)).max() <= 1
    assert np.abs(decoded(server.fuse(ir, vi, method="average").content) - none).max() > 5
    refused = server.fuse(ir, vi, strength="2")
    assert refused.status_code == 422
    assert "strength" in refused.json()["error"]


def test_an_emphasis_changes_the_image_and_unknown_ones_are_refused(
    server: Running, ir: bytes, vi: bytes
) -> None:
    plain, none, targets = (
        decoded(server.fuse(ir, vi, method="average", **given).content).astype(int)
        for given in ({}, {"emphasis": "none"}, {"emphasis": "targets"})
    )
    assert np.array_equal(plain, none)
    assert np.abs(targets - decoded(vi)).mean() > np.abs(plain - decoded(vi)).mean()
    refused = server.fuse(ir, vi, emphasis="loud")
    assert refused.status_code == 422
    assert "emphasis" in refused.json()["error"]


def test_gamma_brightens_the_thermal(server: Running, ir: bytes, vi: bytes) -> None:
    plain, bright = (
        decoded(server.fuse(ir, vi, method="average", ir_gamma=gamma).content).astype(int)
        for gamma in ("1", "0.5")
    )
    assert bright.mean() > plain.mean() + 3
    assert server.fuse(ir, vi, ir_gamma="0").status_code == 422


def test_the_scores_that_the_page_asks_for_are_those_of_the_files(
    server: Running, encode: Callable[..., bytes]
) -> None:
    rows, columns = np.mgrid[:96, :128]
    levels = [
        np.uint8(127 + 120 * np.sin(rows / a) * np.cos(columns / b)) for a, b in ((3, 9), (11, 4), (6, 7))
    ]
    ir, vi = encode(".png", levels[0]), encode(".png", np.dstack(levels))
    metrics = ["MI", "VIF", "Qabf", "SSIM"]
    page = {"format": "json", "encoding": "jpeg", "metrics": ",".join(metrics), "method": "average"}
    fused = decoded(server.fuse(ir, vi, method="average").content)[..., ::-1]
    expected = ivfuse.evaluate(fused, decoded(ir), decoded(vi)[..., ::-1], metrics=metrics)
    assert server.fuse(ir, vi, **page).json()["scores"]["values"] == pytest.approx(expected, rel=1e-9)
