"""The README as PyPI shows it, where the files of the repository are not: relative links become absolute.

The repository is ``Source`` in ``[project.urls]``. Without it links become text, and images are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")  # image or link, text, path


def for_pypi(text: str, source: str | None) -> str:
    """Markdown without relative links.

    Args:
        text: of a file in the root of the repository.
        source: address of the repository, laid out as on GitHub; ``None`` if there is none.
    """

    def absolute(found: re.Match[str]) -> str:
        image, name, path = found.groups()
        if source is None:
            return "" if image else name
        return f"{image}[{name}]({source.rstrip('/')}/{'raw' if image else 'blob'}/HEAD/{path})"

    return RELATIVE.sub(absolute, text)


class PyPIReadme(MetadataHookInterface):
    """Sets the README of the distributions."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read the README of the project."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        readme = for_pypi(text, metadata.get("urls", {}).get("Source"))
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
