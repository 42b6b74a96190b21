from __future__ import annotations

import builtins
from importlib.metadata import version as version_of

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

project = "matrix-membership"
author = "the matrix-membership contributors"
copyright = author  # noqa: A001 - Sphinx's name
release = version = version_of("matrix-membership")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "sphinxcontrib.mermaid"]
exclude_patterns = ["examples"]

# Docstrings put names into single backticks, which are italics by default.
default_role = "code"

html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]  # code forges draw such a fence too

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def leave_builtins_alone(_: Sphinx, page: nodes.document) -> None:
    """Make no link of `type` in an annotation: otherwise it is taken for one of our attributes."""
    for link in list(page.findall(pending_xref)):
        if link["refdomain"] == "py" and hasattr(builtins, link["reftarget"]):
            link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", leave_builtins_alone)
