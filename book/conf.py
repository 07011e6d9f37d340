"""Configuration of Sphinx for the site; `make book` builds it. Nothing in the pages asks for a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import latentkit as lk

sys.path.insert(0, str(Path(__file__).parent))

project = "latentkit"
author = "the latentkit authors"
copyright = "the latentkit authors, Apache 2.0"  # noqa: A001  (Sphinx's name)
version = release = lk.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "offline_math"]
exclude_patterns: list[str] = []

# The lessons are shown as they were committed, with their outputs; the gallery runs while the site is built.
nb_execution_mode = "auto"
nb_execution_excludepatterns = ["lessons/*"]
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_ipywidgets_js: dict[str, Any] = {}  # an explorer also shows itself as HTML, which needs no library
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_render_image_options = {"align": "center"}
myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections give the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "autolink"

html_theme = "pydata_sphinx_theme"
html_title = "latentkit"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["extra"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,  # the arrow keys move the cursor of an explorer
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars: dict[str, list[str]] = {page: [] for page in ("index", "gallery", "teaching", "changes")}
html_context = {"default_mode": "auto"}
