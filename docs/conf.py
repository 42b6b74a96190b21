from __future__ import annotations

import builtins
import re
from importlib.metadata import version as version_of
from typing import Final, cast

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

project = "matrix-membership"
author = "the matrix-membership contributors"
copyright = author  # noqa: A001 - Sphinx's name
release = version = version_of("matrix-membership")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["examples", "playground"]

# Docstrings put names into single backticks: a link where the name is one of ours, and code otherwise.
default_role = "py:obj"

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# The summaries of a search are fetched, which a browser refuses for files.
html_show_search_summary = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

RULE: Final = re.compile(r"rule (?P<number>[0-9.]+) of version (?P<version>[0-9]+)")
OF_MODULES: Final = frozenset({"class", "exception", "function", "data", "module"})


def keep_returns_whole(
    _: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]
) -> None:
    """Make a field of `Returns` before Napoleon does, which takes what stands before a colon for a type.

    `The state. Cost: constant.` has no type in it. The type comes from the annotation.
    """
    lines[:] = [":returns:" if line == "Returns:" else line for line in lines]


def leave_builtins_alone(_: Sphinx, page: nodes.document) -> None:
    """Make no link of `type` in an annotation: otherwise it is taken for one of our attributes."""
    for link in list(page.findall(pending_xref)):
        if link["refdomain"] == "py" and hasattr(builtins, link["reftarget"]):
            link.replace_self(link.children)


def number_rules(app: Sphinx, page: nodes.document) -> None:
    """Give each number of a rule its anchor (`v10-4.3.5.2`), and enter it for the search."""
    if app.env.docname != "reference/rules":
        return
    # Sphinx types every domain as Domain.
    standard = cast("StandardDomain", app.env.get_domain("std"))
    seen = set()
    for item in page.findall(nodes.list_item):
        # Two rows with one number are the halves of one rule of the specification: lead to the first.
        if (found := RULE.fullmatch(item.astext())) and found.group() not in seen:
            seen.add(found.group())
            anchor = f"v{found['version']}-{found['number']}"
            item["ids"].append(anchor)
            standard.note_object("rule", found.group(), anchor, location=item)


def link_overview(app: Sphinx, page: nodes.document) -> None:
    """Link each name of the page of all names. The title of its section is its module."""
    name = app.env.docname
    if name != "reference/overview":
        return
    for names in page.findall(nodes.bullet_list):
        module = names.parent[0].astext()
        for item in names:
            literal = next(item.findall(nodes.literal))
            literal.replace_self(
                pending_xref(
                    "",
                    literal.deepcopy(),
                    refdomain="py",
                    reftype="obj",
                    reftarget=f"{module}.{literal.astext()}",
                    refdoc=name,
                    refexplicit=False,
                    refwarn=False,
                )
            )


def link_names(
    app: Sphinx, env: BuildEnvironment, link: pending_xref, shown: nodes.Element
) -> nodes.reference | None:
    """Link the name of another module's class or function, if only one thing has this name."""
    if link["refdomain"] != "py" or link["reftype"] != "obj":
        return None
    # Sphinx types every domain as Domain.
    domain = cast("PythonDomain", env.get_domain("py"))
    name = link["reftarget"].removesuffix("()")
    # `federation.Joined` is described where it is defined, deeper down.
    for wanted in (f".{name}", "." + name.rpartition(".")[2]):
        found = [
            (name, entry)
            for name, entry in domain.objects.items()
            if name.endswith(wanted) and (wanted.count(".") > 1 or entry.objtype in OF_MODULES)
        ]
        if len(found) == 1:
            break
    else:
        return None
    [(name, entry)] = found
    return make_refnode(app.builder, link["refdoc"], entry.docname, entry.node_id, shown, name)


def setup(app: Sphinx) -> None:
    app.add_object_type("rule", "rule")
    app.add_js_file("whole-query.js", loading_method="defer")
    app.connect("autodoc-process-docstring", keep_returns_whole, priority=400)  # Napoleon's is 500
    app.connect("doctree-read", leave_builtins_alone)
    app.connect("doctree-read", number_rules)
    app.connect("doctree-read", link_overview)
    app.connect("missing-reference", link_names)
