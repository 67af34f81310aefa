"""The image of the page in the documentation: the synthetic sample, fused, in a headless Chromium.

    python benchmarks/page_image.py docs/images/serve.jpg

Visible and fused are compared.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import cv2

from serve import Server

ROOT = Path(__file__).resolve().parents[1]


def browser() -> type:
    """The class that the tests drive the browser with."""
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
        with browser()(Path(folder) / "profile", 1280, 800) as page:
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
