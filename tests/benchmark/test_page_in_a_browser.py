"""The page in a real browser, without a network: it loads without errors, sorts, slides, zooms and hides."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import Done

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

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
  make("output", { id: "said", textContent: JSON.stringify(said) }));
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
let tries = 0;
const timer = setInterval(() => {
  if (!ready(document.querySelector(".card")) && ++tries < 100) return;
  clearInterval(timer);
  try { read(); } catch (error) { errors.push(String(error)); }
  tell();
}, 100);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_reader_uses_the_page(finished: Done, tmp_path: Path) -> None:
    text = finished.page.replace("<head>", f"<head>{BEFORE}").replace("</body>", f"{AFTER}</body>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command += [
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=500,900",
        "--virtual-time-budget=15000",
    ]
    command += ["--dump-dom", (tmp_path / "page.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.search(r'<output id="said">(.*?)</output>', dom)
    assert found, dom[-2000:]
    said = json.loads(html.unescape(found.group(1)))
    assert said["errors"] == []
    assert said["named"] == ["s1", "s2", "s3"]
    values = finished.results.boards[0].values["average"]["EN"]
    rising = [finished.results.boards[0].pairs[index] for index in values.argsort()]
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
