"""The page in a real browser, without a network: it loads without errors, sorts, slides, zooms and hides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ivfuse.metrics import DEFAULT_METRICS

from ..browser import BROWSER, Page
from .conftest import Done, carry_out
from .test_seeing import streets

PATIENCE = 180  # seconds until a page is ready on a machine that is busy; it takes about one

# Runs before the page's program to catch its errors, and after it to use the page as a reader would.
BEFORE = (
    "<script>window.errors=[];window.addEventListener('error',e=>errors.push(String(e.message)))</script>"
)
AFTER = """<script>
const titles = () => [...document.querySelectorAll("#cards h3")].map((each) => each.textContent);
const choose = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("change")); };
const said = { errors, named: titles() };
choose("metric", "0"); choose("method", String(data.methods.indexOf("average")));
said.worst = titles(); choose("order", "best"); said.best = titles();
$("gallery").scrollIntoView(); // images are made when they come near
const tell = () => document.body.append(
  make("output", { id: "outcome", textContent: JSON.stringify(said) }));
const ready = (card) => card.querySelector(".over")
  && [...card.querySelectorAll("img")].every((each) => each.complete && each.naturalWidth);
const read = () => {
  const card = document.querySelector(".card");
  const slider = card.querySelector("input[type=range]");
  slider.value = 20; slider.dispatchEvent(new Event("input"));
  said.cut = getComputedStyle(card.querySelector(".over")).clipPath;
  card.querySelector("button").click();
  said.zoom = [...card.querySelectorAll(".frame img")].map((each) => getComputedStyle(each).transform);
  card.querySelector("figure").dispatchEvent(new KeyboardEvent("keydown", { key: "0", bubbles: true }));
  said.back = getComputedStyle(card.querySelector(".frame img")).transform;
  said.decoded = [...card.querySelectorAll("img")].every((each) => each.complete && each.naturalWidth === 64);
  const head = document.querySelector("#summary thead button"); head.click();
  said.rows = [...document.querySelectorAll("#summary tbody th")].map((each) => each.textContent);
  document.querySelector("nav input").click();
  said.hidden = getComputedStyle(document.querySelector("#summary .m0")).display;
  said.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
};
const timer = setInterval(() => {
  if (!ready(document.querySelector(".card"))) return;
  clearInterval(timer);
  try { read(); } catch (error) { errors.push(String(error)); }
  tell();
}, 100);
</script>"""


def used(done: Done, folder: Path, script: str, width: int = 500) -> Any:
    """What the script says after it used the page."""
    text = done.page.replace("<head>", f"<head>{BEFORE}").replace("</body>", f"{script}</body>")
    (folder / "page.html").write_text(text, encoding="utf-8")
    with Page(folder / "profile", width=width, height=900) as page:
        page.open((folder / "page.html").as_uri())
        page.until("document.getElementById('outcome') !== null", seconds=PATIENCE)
        return json.loads(page.text("outcome"))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_reader_uses_the_page(finished: Done, tmp_path: Path) -> None:
    said = used(finished, tmp_path, AFTER)
    assert said["errors"] == []
    assert said["named"] == ["s1", "s2", "s3"]
    values = finished.results.leaderboards[0].values["average"]["EN"]
    rising = [finished.results.leaderboards[0].pairs[index] for index in values.argsort()]
    assert said["worst"] == rising
    assert said["best"] == rising[::-1]
    assert said["cut"] == "inset(0px 0px 0px 20%)"
    assert len(said["zoom"]) >= 4
    assert all(each.startswith("matrix(1.5, 0, 0, 1.5") for each in said["zoom"])
    assert said["back"].startswith("matrix(1, 0, 0, 1, 0")
    assert said["decoded"]
    assert said["rows"] == sorted(said["rows"])
    assert said["hidden"] == "none"
    assert said["wide"] <= 0  # no sideways scrolling on a narrow screen


WIDE = """<script>
document.body.append(make("output", { id: "outcome", textContent: JSON.stringify(
  [...document.querySelectorAll(".wide")].map((each) => each.scrollWidth - each.clientWidth)) }));
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_eight_metrics_fit_a_screen_of_1300_pixels(tmp_path: Path) -> None:
    done = carry_out(
        [streets(tmp_path)], tmp_path / "report", "average,guided-filter", metrics=",".join(DEFAULT_METRICS)
    )
    assert max(used(done, tmp_path, WIDE, width=1300)) <= 0


TARGETS = """<script>
$("gallery").scrollIntoView();
const say = (text) => document.body.append(make("output", { id: "outcome", textContent: text }));
const tell = () => say(JSON.stringify({
  errors, sorted: $("metric").value,
  named: [...document.querySelectorAll("#cards h3")].map((each) => each.textContent),
  outlines: [...document.querySelectorAll(".card .strip svg")].map((svg) =>
    [...svg.children].map((each) => each instanceof SVGPolygonElement && each.className.baseVal).join(" ")),
  note: document.querySelector(".card .value").textContent,
  drawn: getComputedStyle(document.querySelector(".card svg")).display,
  without: ($("outlines").click(), getComputedStyle(document.querySelector(".card svg")).display),
}));
const timer = setInterval(() => {
  if (!document.querySelector(".card .strip svg")) return;
  clearInterval(timer);
  try { tell(); } catch (error) { say(JSON.stringify(String(error))); }
}, 100);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_pair_with_most_lost_targets_comes_first_and_they_are_outlined(tmp_path: Path) -> None:
    brought = [f"visible={tmp_path / 'visible'}"]
    done = carry_out([streets(tmp_path)], tmp_path / "report", "maximum", fused=brought)
    said = used(done, tmp_path, TARGETS)
    assert said["errors"] == []
    assert said["sorted"] == "lost"
    assert said["named"] == ["three", "one", "none"]
    shown = {"maximum": "seen seen seen", "visible": "lost lost lost"}
    expected = ["seen seen seen", "lost lost lost", *(shown[name] for name in done.results.methods)]
    assert said["outlines"][:4] == expected
    assert said["note"] in ("0 of 3 targets lost", "3 of 3 targets lost")
    assert said["drawn"] != "none"
    assert said["without"] == "none"
