"""Settings of the documentation site, which ``make docs`` builds with Sphinx."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "src")]  # the site is about the code beside it
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[1], os.environ.get("PYTHONPATH", "")])

import make_pages  # noqa: E402

import ivfuse  # noqa: E402

project = "ivfuse"
author = "The ivfuse developers"
project_copyright = "the ivfuse developers, Apache-2.0"
release = ivfuse.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_design"]
exclude_patterns = ["_build"]
default_role = "code"

myst_enable_extensions = ["colon_fence", "attrs_block"]
myst_heading_anchors = 4  # the names that links on GitHub have

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say shapes and ranges, which the types do not
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"ivfuse {release}"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_favicon = "site/mark.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {"color-brand-primary": "#b3401c", "color-brand-content": "#a63a18"},
    "dark_css_variables": {"color-brand-primary": "#ff9d66", "color-brand-content": "#ffa97a"},
}
html_logo = "site/mark.svg"


def _site_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Point links to files beside ``docs`` at the pages that are made of them."""
    up = "../" * (docname.count("/") + 1)
    for name, page in make_pages.PROJECT_PAGES.items():
        source[0] = source[0].replace(f"]({up}{name}", f"](/{page}")


def setup(app: Sphinx) -> None:
    """Write the generated pages before the sources are read."""
    app.connect("builder-inited", lambda _: make_pages.main())
    app.connect("source-read", _site_links)
