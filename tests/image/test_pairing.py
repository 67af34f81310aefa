"""Which files belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivfuse.errors import InputError
from ivfuse.image.listing import list_images, natural_key
from ivfuse.image.pairing import (
    Pairing,
    TriplePairing,
    match_fused,
    pair_folder,
    pair_folders,
)


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def folders(tmp_path: Path, ir: list[str], vi: list[str]) -> Pairing:
    return pair_folders(fill(tmp_path / "ir", *ir), fill(tmp_path / "vi", *vi))


def found(pairing: Pairing) -> list[tuple[str, str, str]]:
    return [(pair.name, pair.ir.name, pair.vi.name) for pair in pairing.pairs]


@pytest.mark.parametrize(
    ("ir", "vi", "name"),
    [
        ("a.png", "a.png", "a"),
        ("a.tiff", "a.JPG", "a"),
        ("Night 1.png", "night 1.png", "night 1"),
        ("IR_1.png", "VIS_1.png", "1"),
        ("x_ir.png", "x_vi.png", "x"),
        ("x_ir.png", "x.png", "x"),
        ("ir1.png", "vis1.png", "1"),
        ("ir-003.bmp", "rgb-003.bmp", "003"),
        ("frame_thermal_07.png", "frame_visible_07.png", "frame_07"),
        ("frame_LWIR_07.png", "frame_RGB_07.png", "frame_07"),
        ("infrared.005.png", "visible.005.png", "005"),
        ("DJI_0001_T.JPG", "DJI_0001_V.JPG", "DJI_0001"),
        ("DJI_0001_T.JPG", "DJI_0001_W.JPG", "DJI_0001"),
        ("ir.png", "vis.png", "vis"),
        ("ÜBER_ir.png", "über_vi.png", "über"),
    ],
)
def test_files_are_paired_by_their_names(tmp_path: Path, ir: str, vi: str, name: str) -> None:
    pairing = folders(tmp_path, [ir], [vi])
    assert found(pairing) == [(name, ir, vi)]
    assert pairing.orphans == ()
    assert pairing.ambiguous == ()


@pytest.mark.parametrize(
    ("ir", "vi"),
    [
        ("bird_1.png", "bvid_1.png"),
        ("air_1.png", "avi_1.png"),
        ("chair.png", "chavi.png"),
        ("t_1.png", "v_1.png"),
        ("a_1.png", "a_2.png"),
        ("cat.png", "cav.png"),
        ("0001.png", "1.png"),
    ],
)
def test_words_are_whole_words(tmp_path: Path, ir: str, vi: str) -> None:
    pairing = folders(tmp_path, [ir], [vi])
    assert pairing.pairs == ()
    assert {x.name for x in pairing.orphans} == {ir, vi}


def test_bird_stays_a_bird(tmp_path: Path) -> None:
    assert found(folders(tmp_path, ["bird_1.png"], ["bird_1.png"])) == [
        ("bird_1", "bird_1.png", "bird_1.png")
    ]


def test_equal_names_come_before_swapped_words(tmp_path: Path) -> None:
    pairing = folders(tmp_path, ["x.png", "x_ir.png"], ["x.png"])
    assert found(pairing) == [("x", "x.png", "x.png")]
    assert [x.name for x in pairing.orphans] == ["x_ir.png"]


def test_what_fits_twice_is_listed_and_not_guessed(tmp_path: Path) -> None:
    pairing = folders(tmp_path, ["a.png", "a.tif", "x_ir.png"], ["a.png", "x_vi.png", "x_rgb.png", "b.png"])
    assert pairing.pairs == ()
    assert [x.name for x in pairing.orphans] == ["b.png"]
    assert pairing.ambiguous == (
        "a: ir/a.png, ir/a.tif, vi/a.png",
        "x: ir/x_ir.png, vi/x_rgb.png, vi/x_vi.png",
    )


def test_what_fits_twice_on_one_side_alone_is_an_orphan(tmp_path: Path) -> None:
    pairing = folders(tmp_path, ["a.png", "a.tif"], ["b.png"])
    assert [x.name for x in pairing.orphans] == ["a.png", "a.tif", "b.png"]
    assert pairing.ambiguous == ()


def test_hidden_files_other_files_and_folders_are_ignored(tmp_path: Path) -> None:
    others = [".a.png", "a.txt", "Thumbs.db", "a.png.part"]
    (tmp_path / "ir" / "b.png").mkdir(parents=True)
    pairing = folders(tmp_path, ["a.png", *others], ["a.png", *others])
    assert found(pairing) == [("a", "a.png", "a.png")]
    assert pairing.orphans == ()


def test_what_a_camera_draws_beside_its_own_file_is_left_out(tmp_path: Path) -> None:
    for name in ("a.irg", "a.jpg", "b.jpg", "B.HIR"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.irg", "B.HIR", "b.jpg"]


@pytest.mark.parametrize("suffix", [".fff", ".irg", ".hir"])
def test_of_a_radiometric_file_and_its_picture_the_file_is_paired_and_a_note_says_so(
    tmp_path: Path, suffix: str
) -> None:
    pairing = folders(tmp_path, [f"a{suffix}", "a.png", "b.png"], ["a.png", "b.png"])
    assert found(pairing) == [("a", f"a{suffix}", "a.png"), ("b", "b.png", "b.png")]
    assert pairing.orphans == ()
    assert pairing.notes == ("a.png is left out, since the camera's own file of the same name is used",)


def test_pictures_beside_radiometric_files_that_are_pairs_are_counted(tmp_path: Path) -> None:
    for name in ("a.irg", "a.jpg", "b.irg", "b.jpg"):
        (tmp_path / name).touch()
    pairing = pair_folder(tmp_path, holds_both=lambda path: path.suffix == ".irg")
    assert found(pairing) == [("a", "a.irg", "a.irg"), ("b", "b.irg", "b.irg")]
    assert pairing.orphans == ()
    assert len(pairing.notes) == 1
    assert pairing.notes[0].startswith("2 images such as a.jpg are left out")


def test_pairs_are_in_natural_order(tmp_path: Path) -> None:
    names = ["x10.png", "x9.png", "x1.png", "X2.png", "7.png"]
    assert [pair.name for pair in folders(tmp_path, names, names).pairs] == ["7", "x1", "X2", "x9", "x10"]
    assert natural_key("a2b10") < natural_key("a10b2")


def test_names_of_pairs_differ_where_they_can(tmp_path: Path) -> None:
    pairing = folders(tmp_path, ["1.png", "IR_1.png"], ["1.png", "VIS_1.png"])
    assert found(pairing) == [("1", "1.png", "1.png"), ("VIS_1", "IR_1.png", "VIS_1.png")]


@pytest.mark.parametrize("ir", ["ir", "IR", "infrared", "Thermal", "lwir", "ir_images"])
@pytest.mark.parametrize("vi", ["vi", "VIS", "visible", "rgb", "test-visible"])
def test_one_folder_holds_a_folder_for_each_modality(tmp_path: Path, ir: str, vi: str) -> None:
    fill(tmp_path / ir, "a.png")
    fill(tmp_path / vi, "a.png")
    fill(tmp_path / "labels", "a.png")
    fill(tmp_path / "fused_ir_vi", "a.png")
    (pair,) = pair_folder(tmp_path).pairs
    assert (pair.ir, pair.vi) == (tmp_path / ir / "a.png", tmp_path / vi / "a.png")


def test_an_exact_folder_name_comes_before_one_that_holds_the_word(tmp_path: Path) -> None:
    for name in ("ir", "ir_old", "vi"):
        fill(tmp_path / name, "a.png")
    (pair,) = pair_folder(tmp_path).pairs
    assert pair.ir.parent.name == "ir"


@pytest.mark.parametrize("names", [["ir"], ["visible"], ["ir", "thermal", "vi"], ["ir", "vis", "rgb"]])
def test_a_missing_or_doubled_modality_is_refused_with_what_was_found(
    tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        fill(tmp_path / name, "a.png")
    with pytest.raises(InputError, match="expected one thermal and one visible folder") as caught:
        pair_folder(tmp_path)
    assert all(f"{name}/" in str(caught.value) for name in names)


def test_one_flat_folder_is_paired_by_words(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "x_ir.png",
        "x_vi.png",
        "IR_1.png",
        "VIS_1.png",
        "y_thermal.png",
        "z.png",
        "q_T.jpg",
        "q_W.jpg",
    )
    pairing = pair_folder(tmp_path)
    assert [pair.name for pair in pairing.pairs] == ["1", "q", "x"]
    assert [x.name for x in pairing.orphans] == ["y_thermal.png", "z.png"]
    assert found(pair_folders(tmp_path, tmp_path)) == found(pairing)


def test_a_flat_folder_lists_what_fits_twice(tmp_path: Path) -> None:
    fill(tmp_path, "x_ir.png", "x_vi.png", "x_rgb.png")
    pairing = pair_folder(tmp_path)
    assert pairing.pairs == ()
    assert len(pairing.ambiguous) == 1


@pytest.mark.parametrize("names", [[], ["a.png", "b.png"]])
def test_a_folder_without_modalities_is_refused(tmp_path: Path, names: list[str]) -> None:
    fill(tmp_path, *names)
    with pytest.raises(
        InputError, match=f"found {names[0] if names else 'no images'}.*expected folders like"
    ):
        pair_folder(tmp_path)


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "file.png")
    for call in (
        pair_folder,
        lambda path: pair_folders(path, tmp_path),
        lambda path: pair_folders(tmp_path, path),
    ):
        with pytest.raises(InputError, match="nowhere: no such folder"):
            call(tmp_path / "nowhere")
        with pytest.raises(InputError, match=r"file\.png: found a file, expected a folder"):
            call(tmp_path / "file.png")


def test_thousands_of_files_are_paired_at_once(tmp_path: Path) -> None:
    names = [f"IR_{i}.png" for i in range(3000)]
    pairing = folders(tmp_path, names, [name.replace("IR", "VIS") for name in names])
    assert [pair.name for pair in pairing.pairs] == [str(i) for i in range(3000)]


def triples(tmp_path: Path, ir: list[str], vi: list[str], fused: list[str]) -> TriplePairing:
    return match_fused(folders(tmp_path, ir, vi), fill(tmp_path / "fused", *fused))


@pytest.mark.parametrize(
    ("ir", "vi", "fused"),
    [
        ("a.png", "a.png", "a.png"),
        ("a.tiff", "a.JPG", "A.bmp"),
        ("IR_1.png", "VIS_1.png", "1.png"),
        ("IR_1.png", "VIS_1.png", "VIS_1.png"),
        ("IR_1.png", "VIS_1.png", "IR_1.png"),
        ("x_ir.png", "x_vi.png", "x_fused.png"),
        ("x_ir.png", "x_vi.png", "fusion-x.png"),
        ("ir-003.bmp", "rgb-003.bmp", "result_003.png"),
        ("frame_thermal_07.png", "frame_visible_07.png", "frame_07_fused.png"),
    ],
)
def test_a_fused_image_is_found_by_its_name(tmp_path: Path, ir: str, vi: str, fused: str) -> None:
    result = triples(tmp_path, [ir], [vi], [fused, "unrelated.png"])
    (triple,) = result.triples
    assert (triple.ir.name, triple.vi.name, triple.fused.name) == (ir, vi, fused)
    assert [path.name for path in result.orphans] == ["unrelated.png"]
    assert not result.missing
    assert not result.ambiguous


def test_an_equal_name_goes_before_one_without_words(tmp_path: Path) -> None:
    result = triples(tmp_path, ["a.png"], ["a.png"], ["a.png", "a_fused.png"])
    assert [triple.fused.name for triple in result.triples] == ["a.png"]
    assert [path.name for path in result.orphans] == ["a_fused.png"]


def test_two_fused_images_for_one_pair_are_ambiguous(tmp_path: Path) -> None:
    result = triples(tmp_path, ["a.png"], ["a.png"], ["a.png", "a.jpg"])
    assert not result.triples
    assert result.ambiguous == ("a: a.jpg, a.png",)


def test_a_fused_image_that_fits_two_pairs_is_ambiguous(tmp_path: Path) -> None:
    result = triples(tmp_path, ["a.png", "a_ir.png"], ["a.png", "a_vi.png"], ["a_fused.png"])
    assert not result.triples
    assert result.ambiguous == ("a: a_fused.png matches the pairs a, a_vi",)


def test_a_pair_without_a_fused_image_is_missing(tmp_path: Path) -> None:
    result = triples(tmp_path, ["b.png", "c.png"], ["b.png", "c.png"], ["b.png"])
    assert [triple.name for triple in result.triples] == ["b"]
    assert result.missing == ("c",)


def test_orphans_of_the_sources_are_kept(tmp_path: Path) -> None:
    result = triples(tmp_path, ["a.png", "lonely.png"], ["a.png"], ["a.png"])
    assert [path.name for path in result.orphans] == ["lonely.png"]


@pytest.mark.parametrize(
    ("ir", "vi"),
    [
        ("DJI_20230101120002_0001_T.JPG", "DJI_20230101120003_0001_V.JPG"),
        ("DJI_20230101120002_0001_T.JPG", "DJI_20230101115958_0001_W.JPG"),
        ("DJI_20230101120002_0001_T_point1.JPG", "DJI_20230101120003_0001_V_point1.JPG"),
        ("DJI_20221231235959_0001_T.JPG", "DJI_20230101000001_0001_V.JPG"),
        ("flight_20230101_120002_0001_ir.png", "flight_20230101_120003_0001_vi.png"),
    ],
)
def test_files_of_one_capture_are_paired_by_number(tmp_path: Path, ir: str, vi: str) -> None:
    pairing = folders(tmp_path, [ir], [vi])
    assert [(pair.ir.name, pair.vi.name) for pair in pairing.pairs] == [(ir, vi)]
    assert not pairing.orphans
    assert "paired by number" in pairing.notes[0]


@pytest.mark.parametrize(
    "vi",
    [
        ["DJI_20230101120003_0002_V.JPG"],
        ["DJI_20230101130003_0001_V.JPG"],
        ["DJI_20231301120003_0001_V.JPG"],
        ["DJI_20230101120003_0001_V_point1.JPG"],
    ],
    ids=["another number", "an hour later", "no month", "another point"],
)
def test_other_captures_stay_apart(tmp_path: Path, vi: list[str]) -> None:
    pairing = folders(tmp_path, ["DJI_20230101120002_0001_T.JPG"], vi)
    assert not pairing.pairs
    assert len(pairing.orphans) == 2
    assert not pairing.notes


def test_near_misses_are_named(tmp_path: Path) -> None:
    pairing = folders(tmp_path, ["DJI_20230101120002_0001_T.JPG"], ["DJI_20230101120022_0001_V.JPG"])
    assert not pairing.pairs
    assert pairing.notes == (
        "DJI_20230101120002_0001_T.JPG and DJI_20230101120022_0001_V.JPG have the same number and times 20 s"
        " apart, not paired",
    )


def test_two_captures_of_one_number_within_seconds_are_not_guessed(tmp_path: Path) -> None:
    ir = ["DJI_20230101120000_0001_T.JPG", "DJI_20230101120002_0001_T.JPG"]
    pairing = folders(tmp_path, ir, ["DJI_20230101120001_0001_V.JPG"])
    assert not pairing.pairs
    assert len(pairing.notes) == 2


@pytest.mark.parametrize("second", ["120002", "120003"])
@pytest.mark.parametrize(
    ("cameras", "best"), [("VWZ", "V"), ("WZ", "W"), ("Z", "Z"), ("ZV", "V")], ids=lambda text: str(text)
)
def test_of_several_cameras_one_is_preferred_and_said_once(
    tmp_path: Path, second: str, cameras: str, best: str
) -> None:
    for number in range(3):
        fill(tmp_path, f"DJI_20230101120002_000{number}_T.JPG")
        fill(tmp_path, *(f"DJI_20230101{second}_000{number}_{letter}.JPG" for letter in cameras))
    pairing = pair_folder(tmp_path)
    assert [pair.vi.name[-5] for pair in pairing.pairs] == [best] * 3
    assert not pairing.orphans
    assert not pairing.ambiguous
    said = [note for note in pairing.notes if "preferred" in note]
    assert len(said) == (len(cameras) > 1)


def test_a_single_letter_z_is_no_camera(tmp_path: Path) -> None:
    fill(tmp_path, "scan_ir.png", "scan_z.png")
    assert not pair_folder(tmp_path).pairs
