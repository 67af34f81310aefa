"""Renders the screenshots of the web page in the documentation, with a headless Chromium.

    python benchmarks/page_image.py docs/images

They show the synthetic sample pair: `serve.jpg` visible and fused with a divider and a temperature, and
`serve-methods.jpg` several methods side by side, in dark colors.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2

from serve import Server

ROOT = Path(__file__).resolve().parents[1]
PERSON = (0.915, 0.58)  # place in the sample, in shares of its width and height


def load_page_class() -> type:
    """The class that drives the browser in the tests."""
    spec = importlib.util.spec_from_file_location("browser", ROOT / "tests" / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Page


def main() -> None:
    out, page_class = Path(sys.argv[1]), load_page_class()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        closing(Server(workers=1, queue=8)) as server,
        page_class(Path(folder) / "profile", 1280, 800) as page,
    ):
        page.open(f"http://127.0.0.1:{server.port}")
        page.until("document.querySelectorAll('#method option').length > 3")
        page.run("document.getElementById('sample').click()")
        page.until("document.getElementById('status').textContent.startsWith('Fused by')")
        page.until("document.querySelectorAll('#scores tbody tr').length === 8")
        show_divider(page)
        save(page, out / "serve.jpg", 800)
        show_methods(page)
        save(page, out / "serve-methods.jpg", 980)


def show_divider(page: Any) -> None:
    """Visible and fused, and the temperature of a person."""
    page.run("document.querySelector('[name=compare][value=\"visible fused\"]').click()")
    left, top, width, height = page.run(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.getElementById('frame').getBoundingClientRect())"
    )
    x, y = left + PERSON[0] * width, top + PERSON[1] * height
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


def show_methods(page: Any) -> None:
    """The methods that are shown at first, in dark colors."""
    page.run("document.getElementById('theme').click()")
    page.run("document.querySelector('[name=compare][value=methods]').click()")
    page.until("document.querySelectorAll('#tiles figure').length > 0")
    page.until("document.querySelectorAll('#tiles .spinner').length === 0", 60)


def save(page: Any, file: Path, height: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "page.png"
        page.image(image, 1280, height)
        cv2.imwrite(str(file), cv2.imread(str(image)), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
