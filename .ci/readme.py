"""The README for a package index: its links lead to the files of the project's repository.

A package index shows the README without the files beside it. Where `pyproject.toml` names the repository
(`Repository` under `[project.urls]`), links to files become addresses there. Otherwise they stay.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?=[^)\s]+\))")


def absolute(text: str, repository: str) -> str:
    """Put the address of the repository's files before each relative link."""
    return LINK.sub(f"{repository.rstrip('/')}/blob/HEAD/", text)


class ReadmeHook(MetadataHookInterface):
    """Called by hatchling when it builds the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the README."""
        text = Path(self.root, "README.md").read_text("utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, repository) if repository else text,
        }
