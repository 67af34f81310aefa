"""Renders the screenshot of the web page in the documentation, with a headless Chromium.

    python benchmarks/page_image.py docs/images/serve.jpg

It shows the synthetic sample pair, visible and fused next to each other.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import cv2

from serve import Server

ROOT = Path(__file__).resolve().parents[1]


def load_page_class() -> type:
    """The class that drives the browser in the tests."""
    spec = importlib.util.spec_from_file_location("browser", ROOT / "tests" / "server" / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Page


def main() -> None:
    out, server = Path(sys.argv[1]), Server(workers=1, queue=8)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        image = Path(folder) / "page.png"
        with load_page_class()(Path(folder) / "profile", 1280, 800) as page:
            page.open(f"http://127.0.0.1:{server.port}")
            page.until("document.querySelectorAll('#method option').length > 3")
            page.run("document.getElementById('sample').click()")
            page.until("document.getElementById('status').textContent.startsWith('Fused by')")
            page.run("document.querySelector('[name=compare][value=\"visible fused\"]').click()")
            page.until("document.querySelectorAll('#scores tbody tr').length === 8")
            page.image(image, 1280, 800)
        server.close()
        cv2.imwrite(str(out), cv2.imread(str(image)), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
