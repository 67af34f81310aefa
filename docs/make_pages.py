"""Write ``docs/generated/``: pages of the site that are made of other files, and the gallery, which is run.

The site's ``conf.py`` calls :func:`main` at every build; nothing in the folder is committed.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
FOLDER = DOCS / "generated"
PROJECT_PAGES = {"CONTRIBUTING.md": "generated/contributing.md", "CHANGELOG.md": "generated/changelog.md"}
TRAINING = "train-on-your-pairs"  # the notebook that needs PyTorch


def project_pages() -> None:
    """Contributing and changelog, whose links start at the root of the repository."""
    for name, page in PROJECT_PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        _write(DOCS / page, text.replace("](docs/", "](/"))


def model_cards() -> None:
    """A page for each card beside the weights; its mentions of documents become links."""
    for card in sorted((ROOT / "src" / "ivfuse" / "weights").glob("*.md")):
        text = re.sub(r"\A# (.+)", r"# Model card: \1", card.read_text(encoding="utf-8"))
        _write(FOLDER / "cards" / card.name, re.sub(r"`docs/([\w/-]+\.md)`", r"[\1](/\1)", text))


def metrics() -> None:
    """Every metric as it describes itself."""
    from ivfuse.metrics import METRICS

    lines = ["# Metrics one by one", "Each is a function in Python and a name for `ivfuse eval --metrics`."]
    for name, metric in METRICS.items():
        low, high = metric.range
        better = "higher" if metric.higher_is_better else "lower"
        facts = f"`ivfuse.metrics.{name.lower()}(fused, ir, vi)`: {low:g} to {high:g}, {better} is better."
        lines += [f"## {name}", facts, metric.doc.replace("``", "`"), f"Source: {metric.source}."]
    _write(FOLDER / "metrics.md", "\n\n".join(lines) + "\n")


def gallery() -> None:
    """Run each program of ``docs/gallery`` in a folder of its own; write a page and a card of each."""
    cards = ["::::{grid} 1 2 2 2", ":gutter: 3"]
    for program in sorted((DOCS / "gallery").glob("*.py")):
        name = program.stem
        place = FOLDER / "gallery" / name
        place.mkdir(parents=True)
        subprocess.run([sys.executable, str(program)], cwd=place, check=True)
        _, text, code = program.read_text(encoding="utf-8").split('"""', 2)
        images = sorted(place.glob("*.jpg"))
        shown = [f"![{image.stem}]({name}/{image.name})" for image in images]
        parts = [text.strip(), *shown, f"```python\n{code.strip()}\n```"]
        _write(place.with_suffix(".md"), "\n\n".join(parts) + "\n")
        cards += [f":::{{grid-item-card}} {text.strip().partition(chr(10))[0].removeprefix('# ')}"]
        cards += [f":link: generated/gallery/{name}", ":link-type: doc"]
        cards += [f":img-top: generated/gallery/{name}/{images[-1].name}", ":::"]
    _write(FOLDER / "gallery.txt", "\n".join([*cards, "::::"]) + "\n")


def notebooks() -> None:
    """A page for each notebook, with the outputs of a run."""
    import nbformat

    for file in sorted((DOCS / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(file, as_version=4)
        page = FOLDER / "notebooks" / f"{file.stem}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        note = f"[This page is a notebook](/notebooks/{file.name})"
        if file.stem == TRAINING and not _has_torch():
            note += ", shown without outputs: PyTorch is not installed here"
        else:
            run_notebook(notebook, page.parent)
        head, *cells = [_cell(cell, page, number) for number, cell in enumerate(notebook.cells)]
        _write(page, "\n\n".join([head, f"{note}.", *cells]) + "\n")


def run_notebook(notebook: Any, place: Path) -> None:
    """Execute a notebook; its outputs are put into it.

    Args:
        notebook: as ``nbformat`` reads it.
        place: the folder in which its code runs.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails; it shows the cell and the error.
    """
    from nbclient import NotebookClient

    # The kernel's debugger would warn at each start that Python's own modules are frozen.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    log = logging.getLogger("notebooks")
    log.setLevel(logging.WARNING)
    client = NotebookClient(
        notebook,
        timeout=300,
        resources={"metadata": {"path": str(place)}},
        coalesce_streams=True,
        log=log,
        extra_arguments=["--log-level=ERROR"],  # without it the kernel warns about its port at each start
    )
    client.execute()


def _cell(cell: Any, page: Path, number: int) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source).replace("](../", "](/")  # from where the notebook lies
    parts = [f"```ipython3\n{cell.source}\n```"]
    for place, output in enumerate(cell.outputs):
        data = output.get("data", {})
        if "image/png" in data:
            image = page.with_name(f"{page.stem}-{number}-{place}.png")
            image.write_bytes(base64.b64decode(data["image/png"]))
            parts.append(f"![output of the code above]({image.name})")
        elif text := output.get("text") or data.get("text/plain"):
            parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts)


def _has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write all pages anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for part in (project_pages, model_cards, metrics, gallery, notebooks):
        part()


if __name__ == "__main__":
    main()
