"""Sources of pairs at any location, and what a manifest must be."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow", reason="needs the extra cluster")
fsspec = pytest.importorskip("fsspec", reason="needs the extra cluster")
import pyarrow.parquet as pq  # noqa: E402

from ivfuse.cluster.locations import Member, fetch, member_of, read_bytes  # noqa: E402
from ivfuse.cluster.sources import open_source, with_fused, write_manifest  # noqa: E402
from ivfuse.errors import InputError, UsageError  # noqa: E402


def ids(location: str, **options: object) -> list[str]:
    return [row.id for row in open_source(location, **options).checked()]  # type: ignore[arg-type]


def shard(folder: Path, path: Path, numbers: range) -> Path:
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            for kind in ("ir", "vi"):
                tar.add(folder / kind / f"{number}.png", f"{number:04d}.{kind}.png")
    return path


def test_a_folder_is_paired_alike_on_a_disk_and_in_a_store(folder: Path, store: str) -> None:
    fsspec.filesystem("memory").put(str(folder), "/ivfuse-test/src", recursive=True)
    assert ids(str(folder)) == ids(f"{store}/src") == [str(number) for number in range(7)]
    assert ids(store, recursive=True) == [f"src/{number}" for number in range(7)]


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.csv"])
def test_a_manifest_gives_the_pairs_of_its_source_wherever_both_are_moved(folder: Path, name: str) -> None:
    out = folder.parent / name
    assert write_manifest(open_source(str(folder)), str(out)) == 7
    moved = folder.parent / "moved"
    moved.mkdir()
    shutil.move(folder, moved / "src")
    shutil.move(out, moved / name)
    rows = list(open_source(str(moved / name)).checked())
    assert [row.id for row in rows] == [str(number) for number in range(7)]
    assert all(Path(row.ir).is_file() for row in rows)


def test_tar_shards_are_read_by_member(folder: Path, store: str) -> None:
    first = shard(folder, folder.parent / "a.tar", range(3))
    shard(folder, folder.parent / "b.tar", range(3, 5))
    assert ids(str(first)) == ["0000", "0001", "0002"]
    assert ids(str(folder.parent / "*.tar")) == ["a/0000", "a/0001", "a/0002", "b/0003", "b/0004"]
    fsspec.filesystem("memory").put(str(first), "/ivfuse-test/a.tar")
    row = next(open_source(f"{store}/*.tar").rows())
    copy = fetch(row.ir, folder.parent, "copy")
    assert copy.read_bytes() == (folder / "ir" / "0.png").read_bytes()
    assert copy.suffix == ".png"


def test_a_member_beyond_its_archive_is_an_error(folder: Path) -> None:
    first = shard(folder, folder.parent / "a.tar", range(1))
    beyond = Member(str(first), first.stat().st_size - 10, 20, "x.png")
    assert member_of(str(beyond)) == beyond
    with pytest.raises(InputError, match="the archive ends before the file, found 10 of 20 bytes"):
        read_bytes(str(beyond))
    first.write_bytes(first.read_bytes()[:700])
    with pytest.raises(InputError, match=r"truncated|not a tar"):
        ids(str(first))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,ir\na,b\n", "no column vi: found id, ir, expected id, ir, vi"),
        ("id,ir,vi\na,b,\n", "row 2, column vi: found an empty cell, expected a path or URL"),
        ("id,ir,vi\na,b,c\na,b,c\n", "column id: found 'a' twice, expected unique names"),
        ("id,ir,vi\n../a,b,c\n", "row 2, column id: found '../a', expected a name that can name a file"),
        ("id,ir,vi\na/.,b,c\n", "row 2, column id: found 'a/.'"),
        ("id,ir,vi,window\na,b,c,9..9\n", "row 2, column window: found '9..9'"),
        ("id,ir,vi\na,b,c,d\n", "row 2: found 4 cells, expected 3"),
        ("id,ir,vi\n", "no pairs found, expected one or more"),
        (f"id,ir,vi\n{200 * 'x'},b,c\n", "column id: found a part of 200 bytes"),
    ],
)
def test_a_bad_manifest_names_row_and_column(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        ids(str(path))
    assert said in str(error.value)
    assert "pairs.csv" in str(error.value)


def test_parquet_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"id": [1], "ir": ["a"], "vi": ["b"]}), path)
    with pytest.raises(InputError, match=r"column id: found the type int64, expected text"):
        ids(str(path))
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(InputError, match="not a Parquet file"):
        ids(str(path))


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("nowhere://bucket/pairs", "Protocol not known: nowhere"),
        ("memory://none-of-this/pairs.parquet", "no such file or folder"),
        ("/nowhere/pairs.csv", "no such file or folder"),
    ],
)
def test_a_place_that_cannot_be_read_is_named_in_one_line(location: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        ids(location)
    assert said in str(error.value)
    assert location in str(error.value)


def test_fused_images_are_found_by_the_ids(folder: Path) -> None:
    fused = folder.parent / "fused"
    fused.mkdir()
    (fused / "3.png").write_bytes(b"x")
    rows = list(with_fused(open_source(str(folder)), str(fused)).rows())
    assert [row.id for row in rows if row.fused] == ["3"]


def test_a_manifest_is_parquet_or_csv(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a file \.parquet or \.csv"):
        write_manifest(open_source(str(folder)), str(folder.parent / "pairs.txt"))
