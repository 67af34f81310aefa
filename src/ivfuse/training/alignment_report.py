"""Output of a channel alignment: the corrected pairs, a JSON manifest and an HTML report."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ivfuse.errors import OutputError
from ivfuse.image.arrays import Levels
from ivfuse.runtime.files import part_of
from ivfuse.training.alignment import DISTANCES, LEVELS, Aligned, Floats, pooled_histogram
from ivfuse.training.color_pairs import spread_evenly

CHANNELS = ("red", "green", "blue")
INKS = {"red": (200, 40, 40), "green": (30, 140, 50), "blue": (40, 80, 210)}
PAPER, GRAY, DARK = (255, 255, 255), (205, 205, 205), (60, 60, 60)
SHEET = 12  # number of patches on the contact sheet
CELL = 96  # side of a patch on the contact sheet, in pixels


def write_aligned(out: Path, aligned: Aligned, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``ir/``, ``vi/``, ``manifest.json``, ``report.html`` and its two images atomically.

    Args:
        out: the output folder, which must not exist or be empty.
        aligned: the selected patches and their correction.
        about: names of the sets for the manifest (``target``, ``external``).

    Returns:
        The manifest.

    Raises:
        OutputError: if the folder is not empty or cannot be written.
    """
    check_empty(out)
    part = part_of(out)
    try:
        part.mkdir(parents=True)
        names = _write_pairs(part, aligned, str(about["external"]))
        manifest = _manifest(aligned, names, about)
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        images = {
            "histograms.png": histogram_chart(aligned),
            "contact-sheet.png": contact_sheet(aligned),
        }
        for name, pixels in images.items():
            _write_png(part / name, pixels)
        page = _page(manifest, {name: (part / name).read_bytes() for name in images})
        (part / "report.html").write_text(page, encoding="utf-8")
        os.replace(part, out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def check_empty(out: Path) -> None:
    """Check that an output folder does not exist or is empty.

    Raises:
        OutputError: if it is not empty, or is a file.
    """
    if out.is_dir():
        if any(out.iterdir()):
            raise OutputError(f"{out}: is not empty, expected a new folder")
    elif out.exists():
        raise OutputError(f"{out}: is a file, expected a new folder")


def channel_distances(aligned: Aligned) -> dict[str, dict[str, dict[str, float]]]:
    """Compute the distances of the kept patches to the target, by measure, before/after and channel."""
    before, after, target = _histograms(aligned)
    return {
        name: {
            when: dict(zip(CHANNELS, measure(found, target).tolist(), strict=True))
            for when, found in (("before", before), ("after", after))
        }
        for name, measure in DISTANCES.items()
    }


# ------------------------------------------------------------------ files


def _write_pairs(folder: Path, aligned: Aligned, external: str) -> list[str]:
    """Write each patch under a unique name composed of rank, set, pair and position."""
    for side in ("ir", "vi"):
        (folder / side).mkdir()
    names = []
    for rank, patch in enumerate(aligned.patches, 1):
        source = re.sub(r"[^\w-]+", "-", f"{Path(external).name}-{patch.source}")
        name = f"{rank:05d}-{source}-y{patch.top}-x{patch.left}.png"
        _write_png(folder / "ir" / name, patch.ir)
        _write_png(folder / "vi" / name, aligned.corrected(patch))
        names.append(name)
    return names


def _write_png(path: Path, pixels: Levels) -> None:
    done, data = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    if not done:
        raise OutputError(f"{path}: cannot be encoded")
    path.write_bytes(data.tobytes())


def _manifest(aligned: Aligned, names: list[str], about: Mapping[str, Any]) -> dict[str, Any]:
    target = aligned.target
    groups = [
        {
            "target_patches": int(target.patches[group]),
            "kept_patches": sum(patch.group == group for patch in aligned.patches),
            "target_means": dict(zip(CHANNELS, (histograms @ LEVELS).tolist(), strict=True)),
            "gamma": dict(zip(CHANNELS, aligned.gammas[group].tolist(), strict=True)),
        }
        for group, histograms in enumerate(target.histograms)
    ]
    patches = [
        {
            "file": name,
            "source": patch.source,
            "top": patch.top,
            "left": patch.left,
            "distance": patch.distance,
            "group": patch.group,
            "gamma": aligned.gammas[patch.group].tolist(),
        }
        for name, patch in zip(names, aligned.patches, strict=True)
    ]
    return {
        **about,
        "options": dataclasses.asdict(aligned.options),
        "candidates": aligned.candidates,
        "kept": len(names),
        "groups": groups,
        "distances": channel_distances(aligned),
        "patches": patches,
    }


# ------------------------------------------------------------------ images


def _histograms(aligned: Aligned) -> tuple[Floats, Floats, Floats]:
    """Compute normalized histograms (3, 256) of the patches before and after, and of the target."""
    before = pooled_histogram(patch.vi for patch in aligned.patches)
    after = pooled_histogram(aligned.corrected(patch) for patch in aligned.patches)
    shares = aligned.target.patches / aligned.target.patches.sum()
    return before, after, np.tensordot(shares, aligned.target.histograms, 1)


def histogram_chart(aligned: Aligned) -> Levels:
    """Plot the histograms per channel: the target filled in gray, before as a thin, after as a thick line."""
    found = _histograms(aligned)
    means = [h @ LEVELS for h in found]
    before, after, target = (_smooth(h) for h in found)
    width, height, edge = 3 * 256, 220, 40
    canvas = Image.new("RGB", (width + 2 * edge, 3 * (height + edge) + edge), PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for c, channel in enumerate(CHANNELS):
        top = edge + c * (height + edge)
        tallest = max(float(h[c].max()) for h in (before, after, target))

        def line(values: Floats, top: int = top, tallest: float = tallest) -> list[tuple[float, float]]:
            return [(edge + 3 * x, top + height * (1 - v / tallest)) for x, v in enumerate(values)]

        draw.polygon([(edge, top + height), *line(target[c]), (edge + width - 3, top + height)], fill=GRAY)
        draw.line(line(before[c]), fill=DARK, width=1)
        draw.line(line(after[c]), fill=INKS[channel], width=3)
        title = f"{channel}: mean {means[0][c]:.1f} before, {means[1][c]:.1f} after, {means[2][c]:.1f} target"
        draw.text((edge, top - 6), title, DARK, font, anchor="ls")
        for level in (0, 64, 128, 192, 255):
            draw.text((edge + 3 * level, top + height + 3), str(level), DARK, font, anchor="ma")
    return np.asarray(canvas)


def contact_sheet(aligned: Aligned) -> Levels:
    """Draw patches from the nearest to the farthest in columns: thermal, visible before, visible after."""
    chosen = spread_evenly(aligned.patches, SHEET)
    label, gap = 90, 6
    size = (label + len(chosen) * (CELL + gap), 3 * (CELL + gap) + 24)
    canvas = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for row, text in enumerate(("thermal", "before", "after")):
        draw.text((8, row * (CELL + gap) + CELL // 2), text, DARK, font, anchor="lm")
    for column, patch in enumerate(chosen):
        left = label + column * (CELL + gap)
        for row, pixels in enumerate((patch.ir, patch.vi, aligned.corrected(patch))):
            cell = Image.fromarray(pixels).convert("RGB").resize((CELL, CELL), Image.Resampling.BICUBIC)
            canvas.paste(cell, (left, row * (CELL + gap)))
        draw.text((left + CELL // 2, size[1] - 12), f"{patch.distance:.3g}", DARK, font, anchor="mm")
    return np.asarray(canvas)


def _smooth(histogram: Floats) -> Floats:
    """Smooth histograms for the chart, since gamma correction leaves gaps between levels."""
    taps = cv2.getGaussianKernel(13, 2.0).ravel()
    return np.stack([np.convolve(np.pad(row, 6, mode="reflect"), taps, "valid") for row in histogram])


# ------------------------------------------------------------------ the page


def _page(manifest: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """Render the report as a single HTML file with embedded images."""
    figures = {
        name: f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        for name, data in images.items()
    }
    options = ", ".join(f"{key} {value}" for key, value in manifest["options"].items())
    distances = [
        [name, *(f"{rows[when][c]:.3f}" for when in ("before", "after") for c in CHANNELS)]
        for name, rows in manifest["distances"].items()
    ]
    title = f"{manifest['external']} aligned to {manifest['target']}"
    columns = [f"{when} {c}" for when in ("before", "after") for c in CHANNELS]
    by_channel = [f"{kind} {c}" for kind in ("gamma", "target mean") for c in CHANNELS]
    kept = f"{manifest['kept']:,} of {manifest['candidates']:,} patches kept"
    return "\n".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Channel alignment</title>',
            "<style>body{font:15px/1.5 sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem}",
            "table{border-collapse:collapse}td,th{padding:.2rem .7rem;border-bottom:1px solid #ccc;",
            "text-align:right}img{max-width:100%}</style>",
            f"<h1>{html.escape(title)}</h1>",
            f"<p>{kept}. {html.escape(options)}.</p>",
            "<h2>Gamma</h2>",
            _table(["group", *by_channel, "target patches", "kept patches"], _group_rows(manifest)),
            "<h2>Distance of the kept patches to the target</h2>",
            _table(["distance", *columns], distances),
            "<h2>Channel histograms</h2>",
            "<p>Gray: target. Thin line: kept patches before the correction. Thick line: after.</p>",
            figures["histograms.png"],
            "<h2>Contact sheet</h2><p>From the nearest to the farthest patch, with the distance below.</p>",
            figures["contact-sheet.png"],
            "</html>\n",
        )
    )


def _group_rows(manifest: Mapping[str, Any]) -> list[list[str]]:
    """Format the gammas, target means and numbers of patches of each group."""
    return [
        [
            f"{i + 1}",
            *(f"{group['gamma'][c]:.4f}" for c in CHANNELS),
            *(f"{group['target_means'][c]:.1f}" for c in CHANNELS),
            f"{group['target_patches']:,}",
            f"{group['kept_patches']:,}",
        ]
        for i, group in enumerate(manifest["groups"])
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
