"""What the tables and the page hold, and that the page needs nothing but itself."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from ivfuse.benchmark.report import gallery, plots, svg
from ivfuse.benchmark.report.page import write_page
from ivfuse.benchmark.statistics import Friedman, wilcoxon
from ivfuse.benchmark.tables import latex, markdown
from ivfuse.image.write import write_image

from .conftest import Done, scenes


class Page(HTMLParser):
    """Collects what a page loads or links to, its text, and the data of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.scripts: dict[str, str] = {}
        self.labels: list[str] = []
        self._at = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._at = given.get("id") or tag if tag == "script" else tag
        if tag == "a":
            self.links.append(given["href"] or "")
        else:
            self.loads += [value or "" for key, value in attrs if key in ("src", "href", "srcset", "data")]
        if "aria-label" in given:
            self.labels.append(given["aria-label"] or "")

    def handle_data(self, data: str) -> None:
        self.scripts[self._at] = self.scripts.get(self._at, "") + data


def test_the_page_is_self_contained(finished: Done) -> None:
    page = Page(finished.page)
    assert page.loads == []
    assert not re.search(r"https?://|//cdn|@import|url\(", finished.page)
    assert "fetch(" not in finished.page
    assert "XMLHttpRequest" not in finished.page


def test_the_page_holds_every_pair_and_method(finished: Done) -> None:
    page = Page(finished.page)
    data, images = (json.loads(page.scripts[name]) for name in ("data", "images"))
    assert set(data["methods"]) == {"average", "maximum", "other"}
    (only,) = data["sets"]
    assert [pair["name"] for pair in only["pairs"]] == ["s1", "s2", "s3"]
    other = data["methods"].index("other")
    for pair in only["pairs"]:
        for each in [*pair["sources"], *(method["image"] for method in pair["methods"])]:
            if each is None:
                assert pair["name"] == "s1"
                continue
            kind, _, code = images[each["number"]].partition(",")
            assert kind == "data:image/webp;base64"
            image = Image.open(io.BytesIO(base64.b64decode(code)))
            mis_sized = each is pair["methods"][other]["image"] and pair["name"] == "s3"
            assert image.size == ((30, 20) if mis_sized else (64, 48))
            assert (finished.plan.out / unquote(each["link"])).is_file()
    failures = [pair["methods"][other]["failure"] for pair in only["pairs"]]
    assert failures == ["no fused image", "", "mis-sized: 30x20, expected 64x48"]


def test_scores_in_the_gallery_are_those_of_the_boards(finished: Done) -> None:
    data = json.loads(Page(finished.page).scripts["data"])
    names = [metric["name"] for metric in data["metrics"]]
    assert names[0] == "EN (default)"
    last = names.index("Qabf (cddfuse)")
    assert names[last + 1 :] == list(finished.plan.seeing)
    board = finished.results.leaderboards[1]
    for index, pair in enumerate(data["sets"][0]["pairs"]):
        for method, shown in zip(data["methods"], pair["methods"], strict=True):
            value = board.values[method]["Qabf"][index]
            expected = None if np.isnan(value) else pytest.approx(value, rel=1e-5)
            assert shown["values"][last] == expected


def test_the_summary_says_who_wins_and_what_is_missing(finished: Done) -> None:
    summary = finished.page[finished.page.index("<section id=summary>") :]
    summary = summary[: summary.index("</section>")]
    assert f"<b>{finished.results.methods[0]}</b> has the best mean rank" in summary
    assert "other: 2 without scores" in summary
    assert "2 of 3" in summary
    assert "streets, other, s3: mis-sized: 30x20, expected 64x48" in summary


def test_every_board_has_its_plots(finished: Done) -> None:
    labels = Page(finished.page).labels
    assert labels.count("Critical difference diagram of the mean ranks") == 2
    assert labels.count("Box plots of EN per image, by method") == 2
    assert labels.count("Radar chart of the means on streets, scaled from the worst to the best method") == 2
    assert labels.count("Mean rank against seconds per image") == 1


def test_a_method_without_times_is_named_but_has_no_place_on_the_axis_of_times(finished: Done) -> None:
    methods = finished.results.methods
    plot = plots.quality_against_speed(finished.results, {name: at for at, name in enumerate(methods)})
    timed = [name for name in methods if finished.results.costs[name].wall > 0]
    assert set(methods) - set(timed) == {"other"}
    assert plot.count("<circle") == len(timed)
    assert "other, not timed: " in plot


def test_names_cannot_break_the_page(tmp_path: Path, benchmark: Callable[..., Done]) -> None:
    data = scenes(tmp_path / "streets", count=1)
    evil = "s</script><b>1&"
    for part in ("ir", "vi"):
        (data / part / "s1.png").rename(data / part / f"{evil.replace('/', chr(0x2215))}.png")
    done = benchmark([data], tmp_path / "report", "average")
    page = Page(done.page)
    assert json.loads(page.scripts["data"])["sets"][0]["pairs"][0]["name"].startswith("s<")
    assert "<b>1&" not in done.page


def test_previews_keep_to_their_budget(finished: Done, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    for most in (60_000, 20_000):
        data = gallery.preview(gallery.PreviewJob(tmp_path / "noise.png", "vi", most, None))
        assert 2_000 < len(data) <= most
    table, images = gallery.gallery(finished.results, 1, budget=1000)
    assert len(table["sets"][0]["pairs"]) == 3
    assert all(not each.startswith("data:") and each.endswith(".png") for each in images)


def test_a_dark_16_bit_result_of_another_program_is_shown_at_its_own_levels(
    tmp_path: Path, benchmark: Callable[..., Done]
) -> None:
    data, other = scenes(tmp_path / "streets", count=1), tmp_path / "other"
    # A photo whose values need 10 bits at most is of a camera that has no more; in a result 65535 is white.
    write_image(other / "s1.png", np.full((48, 64), 1000 / 65535, np.float32), 16)
    page = Page(benchmark([data], tmp_path / "report", "average", fused=[f"other={other}"]).page)
    table, images = (json.loads(page.scripts[name]) for name in ("data", "images"))
    shown = table["sets"][0]["pairs"][0]["methods"][table["methods"].index("other")]
    code = images[shown["image"]["number"]].partition(",")[2]
    preview = np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
    assert preview.max() <= 6  # 1000 / 257, and 2 levels for the compression of WebP


def test_fifty_pairs_with_twelve_methods_stay_below_thirty_megabytes() -> None:
    files = 50 * (2 + 12)
    most = min(gallery.ENOUGH, gallery.BUDGET // files)
    assert most >= gallery.LEAST
    assert files * most * 4 / 3 < 28e6


def test_tables_mark_best_and_second(finished: Done) -> None:
    board = finished.results.leaderboards[0]
    rows = {
        line.split("|")[1].strip(): line
        for line in markdown(finished.results).splitlines()
        if "|" in line[:1]
    }
    first, second = board.best["EN"][:2]
    means = {name: board.summaries[name]["EN"].mean for name in ("average", "maximum")}
    assert first == max(means, key=lambda name: means[name])
    board_rows = markdown(finished.results).split("###")[1]
    line = {
        name: next(x for x in board_rows.splitlines() if x.startswith(f"| {name} "))
        for name in (first, second)
    }
    assert line[first].split("|")[2].strip().startswith(f"**{means[first]:.3f}**")
    assert line[second].split("|")[2].strip().startswith(f"*{means[second]:.3f}*")
    assert "†(1)" in rows["other"] or "†(1)" in board_rows
    tex = latex(finished.results)
    assert f"\\textbf{{{means[first]:.3f}}}" in tex
    assert f"\\underline{{{means[second]:.3f}}}" in tex
    assert "other (2 missing)" in tex


def test_csv_and_json_hold_full_numbers(finished: Done) -> None:
    folder = finished.plan.out / "tables"
    images = list(csv.DictReader((folder / "images.csv").open()))
    assert len(images) == 2 * 3 * 3
    board = finished.results.leaderboards[0]
    cell = next(row for row in images if row["method"] == "average" and row["pair"] == "s2")
    assert float(cell["EN"]) == board.values["average"]["EN"][1]
    assert next(row for row in images if row["method"] == "other" and row["pair"] == "s1")["EN"] == ""
    summary = list(csv.DictReader((folder / "summary.csv").open()))
    gone = next(row for row in summary if row["method"] == "other" and row["metric"] == "SD")
    assert (gone["with_value"], gone["without_value"], gone["failed"], gone["pairs"]) == ("1", "0", "2", "3")
    tests = list(csv.DictReader((folder / "tests.csv").open()))
    row = next(row for row in tests if row["metric"] == "SD" and row["method"] != "other")
    values = [board.values[name]["SD"] for name in (row["method"], row["against"])]
    assert float(row["statistic"]) == wilcoxon(*values).statistic
    facts: dict[str, Any] = json.loads((folder / "results.json").read_text())
    assert facts["boards"][0]["methods"]["other"]["metrics"]["EN"]["values"][0] is None
    assert not Path(facts["sets"][0]["root"]).is_absolute()


def test_a_value_that_a_metric_lacks_is_counted_apart_from_failures(
    tmp_path: Path, benchmark: Callable[..., Done]
) -> None:
    data = scenes(tmp_path / "streets", count=2)
    folder = tmp_path / "flat"
    folder.mkdir()
    for name in ("s1", "s2"):
        Image.fromarray(np.full((48, 64), 90, np.uint8)).save(folder / f"{name}.png")
    done = benchmark([data], tmp_path / "report", "average", metrics="CC,EN", fused=[f"flat={folder}"])
    board = done.results.leaderboards[0]
    assert board.failed["flat"] == 0
    assert board.summaries["flat"]["CC"].count == 0
    assert sum(board.reasons["flat"]["CC"].values()) == 2
    assert board.by_metric["CC"].ranks == {"average": 1, "flat": 2}
    assert "2 without a value" in done.page


def test_bars_join_what_does_not_differ() -> None:
    test = Friedman({"a": 1.0, "b": 1.8, "c": 2.7, "d": 4.5}, 20, 30.0, 0.001, 1.0)
    drawn = plots.critical(test, {name: index for index, name in enumerate("abcd")})
    assert drawn.count('class="alike"') == 2  # a-b and b-c; d stands alone


def test_ticks_are_round_and_within() -> None:
    assert svg.ticks(0.13, 0.98) == [0.25, 0.5, 0.75]
    assert svg.ticks(5, 5) == [5]


def test_writing_the_page_anew_gives_the_same_page(finished: Done, tmp_path: Path) -> None:
    write_page(finished.results, finished.plan.out / "again.html")
    assert (finished.plan.out / "again.html").read_text(encoding="utf-8") == finished.page
