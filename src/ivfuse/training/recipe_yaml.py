"""Reading of YAML files, whose depth, size and aliases are limited, into plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ivfuse.errors import InputError
from ivfuse.runtime.files import check_regular

MAX_BYTES = 1 << 20  # of a recipe
MAX_NODES = 100_000  # keys and values of a recipe, each alias counted with all that it stands for


def read_yaml(path: Path) -> Any:
    """Read a YAML file whose depth, size and aliases are limited.

    Raises:
        InputError: the file is missing, too large or not YAML.
    """
    check_regular(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: found a file of more than {MAX_BYTES} bytes, expected a recipe")
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        # Counted before construction: merge keys (<<) copy what an alias stands for.
        if _count_nodes(node, {}) > MAX_NODES:
            raise InputError(f"{path}: its aliases stand for too many values, expected a recipe")
        return None if node is None else yaml.SafeLoader("").construct_document(node)
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except RecursionError:
        raise InputError(
            f"{path}: not a readable YAML file: too deeply nested, or an alias in itself"
        ) from None
    # ValueError: not UTF-8, an impossible date, or an integer of more digits than Python converts
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).partition("; use sys.")[0].split())
        raise InputError(f"{path}: not a readable YAML file: {reason}") from None


def _count_nodes(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Count the nodes of a tree, an alias with all it stands for; ``known`` holds counts by identity."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        children = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        known[id(node)] = 1 + sum(_count_nodes(child, known) for child in children)
    return known[id(node)]
