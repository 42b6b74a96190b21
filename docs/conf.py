from __future__ import annotations

from importlib.metadata import version as version_of

project = "matrix-membership"
author = "the matrix-membership contributors"
copyright = author  # noqa: A001 - Sphinx's name
release = version = version_of("matrix-membership")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["examples"]

html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
