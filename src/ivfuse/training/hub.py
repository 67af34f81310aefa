"""Networks as models of the Hugging Face Hub: ``save_pretrained`` and ``from_pretrained``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ivfuse.errors import InputError, UsageError
from ivfuse.fusion.hub import find_model, is_reference
from ivfuse.fusion.hub_config import (
    CARD,
    CONFIG,
    GRAPH,
    MAX_TEXT,
    WEIGHTS,
    FileFacts,
    ModelConfig,
    read_config,
    write_config,
)
from ivfuse.fusion.manifest import load_manifest, verify
from ivfuse.runtime.files import make_folder, sha256_of, write_atomic
from ivfuse.training.checkpoint import load_fusing
from ivfuse.training.export import Exported, export_onnx

TAGS = ("ivfuse", "image-fusion", "infrared", "thermal", "onnx")
# Identifiers of the Hub; any other license is `other` with a name.
# Source: huggingface.co/docs/hub/repositories-licenses
_LICENSES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unknown"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0"),
)


@dataclass(frozen=True)
class CardFacts:
    """What the weights do not say themselves, for the metadata of the model card.

    Attributes:
        license: license of the weights, such as ``apache-2.0``.
        datasets: names of the data sets of the training, those of the Hub as ``owner/name``.
        metrics: names of the metrics that the card reports.
        text: the card as Markdown without metadata; empty for a short one that is written here.
        repository: where the model will be published, for the example of the short card.
    """

    license: str
    datasets: Sequence[str] = ()
    metrics: Sequence[str] = ()
    text: str = ""
    repository: str = "OWNER/NAME"

    def __post_init__(self) -> None:
        """Validate the facts."""
        for field in ("license", "datasets", "metrics"):
            value = getattr(self, field)
            for name in [value] if isinstance(value, str) else value:
                if not (0 < len(name) <= MAX_TEXT and name.isprintable() and name.strip() == name):
                    raise UsageError(field=field, found=repr(name), expected=f"1 to {MAX_TEXT} characters")
        if self.text.lstrip().startswith("---\n"):
            raise UsageError(
                field="card", found="metadata at its start", expected="the text alone; the rest is written"
            )


def save_pretrained(weights: Path, folder: Path, facts: CardFacts) -> ModelConfig:
    """Write a network as a model of the Hub: its weights, graph, model card and configuration.

    Args:
        weights: a safetensors file of a fusion network, as ``ivfuse train`` writes it.
        folder: the folder to write; files of these names are replaced.
        facts: license, data sets, metrics and text of the card.

    Returns:
        The configuration, whose digests are those of the files.

    Raises:
        InputError: if the weights cannot be read or are not those of a fusion network.
        IvfuseError: if the graph differs from the network; see :func:`ivfuse.training.export.export_onnx`.
        OutputError: if a file cannot be written.
    """
    load_fusing(weights)
    content = weights.read_bytes()
    make_folder(folder)
    # The configuration is valid for a complete set of files only, so it goes first and comes last.
    (folder / CONFIG).unlink(missing_ok=True)
    done = export_onnx(weights, folder / GRAPH)
    if weights.resolve() != (folder / WEIGHTS).resolve():
        write_atomic(folder / WEIGHTS, content)
    stored = FileFacts(sha256_of(folder / WEIGHTS), len(content))
    graph = _graph_facts(done, facts)
    write_atomic(folder / CARD, _card(done, graph, facts))
    write_atomic(folder / CONFIG, write_config(done.method, graph, stored))
    return read_config(folder / CONFIG, folder.resolve().name)


def from_pretrained(source: str | os.PathLike[str]) -> tuple[nn.Module, ModelConfig]:
    """Load a network of the Hub, or of a folder written by :func:`save_pretrained`.

    Args:
        source: ``hf://owner/name[@revision]``, or a folder.

    Returns:
        The network in eval mode, whose inputs are (B, 1, H, W) float32 in [0, 1], and its configuration.

    Raises:
        UsageError: if the reference has another form.
        MissingExtraError: if a reference is given and huggingface_hub is not installed.
        InputError: if the model is missing, cannot be fetched, is of another kind, or has another digest.
    """
    if is_reference(source):
        model = find_model(str(source))
        config, path = model.config, model.fetch(WEIGHTS)
    else:
        folder = Path(source)
        config, path = read_config(folder / CONFIG, folder.resolve().name), folder / WEIGHTS
        verify(path, config.files[WEIGHTS].sha256)
    net, about = load_fusing(path)
    if about["method"] != config.network:
        raise InputError(f"{path}: found weights of {about['method']}, expected those of {config.network}")
    return net, config


def _graph_facts(done: Exported, facts: CardFacts) -> dict[str, str | int | bool]:
    """Facts of a graph for the configuration.

    The receptive field, tile and paper of a shipped method hold for any weights of the same architecture,
    which the number of parameters tells.
    """
    graph: dict[str, str | int | bool] = {
        "summary": f"{done.method}, trained with ivfuse",
        "paper": "unknown",
        "license": facts.license,
        "version": str(done.facts["sha256"])[:16],
        **done.facts,
    }
    known = load_manifest().models.get(done.method)
    if known is None or (known.info.parameters, known.variant) != (graph["parameters"], graph["variant"]):
        return graph
    info = known.info
    graph |= {"paper": info.paper, "tile": info.tile}
    if info.reach is not None:
        graph["reach"] = info.reach
    return graph


def _card(done: Exported, graph: dict[str, str | int | bool], facts: CardFacts) -> str:
    """The model card: metadata in YAML between two lines, then the text."""
    text = facts.text.strip() or _CARD.format(method=done.method, repository=facts.repository, **graph)
    return f"---\n{_metadata(facts)}---\n\n{text}\n"


def _metadata(facts: CardFacts) -> str:
    """Metadata of a model card. A JSON string is a YAML string, whatever it contains.

    Source: huggingface.co/docs/hub/model-cards
    """
    identifier = re.sub(r"\s+", "-", facts.license.lower())
    known = identifier in _LICENSES
    lines = [f"license: {identifier if known else 'other'}"]
    if not known:
        lines.append(f"license_name: {json.dumps(facts.license)}")
    lines += ["library_name: ivfuse", "pipeline_tag: image-to-image"]
    for key, names in (("tags", TAGS), ("datasets", facts.datasets), ("metrics", facts.metrics)):
        if names:
            lines += [f"{key}:", *(f"- {json.dumps(name)}" for name in names)]
    return "\n".join(lines) + "\n"


_CARD = """# {method}

Infrared and visible image fusion with ivfuse: {summary}.

```python
import ivfuse

fuser = ivfuse.Fuser("hf://{repository}")  # pip install 'ivfuse[hub]'
fuser.fuse_files("thermal.png", "visible.jpg", "fused.png")
```

| | |
|---|---|
| network | `{method}`, variant `{variant}`, {parameters:,} parameters for inference |
| paper | {paper} |
| license of the weights | {license} |
| `model.onnx` | inputs `ir` and `vi`, float32 (B, 1, H, W) in [0, 1] of any size; output `fused` |
| SHA-256 | `{sha256}` |
| `model.safetensors` | for PyTorch: `ivfuse.training.hub.from_pretrained`, `ivfuse fuse --weights` |

Both images must be registered, and the thermal white-hot: bright pixels are interpreted as warm.
"""
