"""The README for a package index has no link that leads nowhere."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests.sources import ROOT

pytest.importorskip("hatchling", reason="only the extra `dev` has what builds the package")
STEP: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "readme.py"))


def built(**metadata: Any) -> str:
    """The README of a package with these metadata."""
    STEP["ReadmeHook"](str(ROOT), {}).update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    return str(metadata["readme"]["text"])


def test_links_lead_to_files_of_the_repository() -> None:
    text = built(urls={"Repository": "https://forge.example/us/it/"})
    assert "](https://forge.example/us/it/blob/HEAD/docs/index.md)" in text
    assert "](https://spec.matrix.org/)" in text
    assert "](docs" not in text


def test_links_stay_where_no_repository_is_named() -> None:
    assert built() == (ROOT / "README.md").read_text("utf-8")


def test_links_with_an_address_or_only_an_anchor_stay() -> None:
    text = "[a](https://a.example) [b](mailto:b@b.example) [c](#d) [e](f.md#g)"
    wanted = text.replace("(f.md", "(https://forge.example/blob/HEAD/f.md")
    assert STEP["absolute"](text, "https://forge.example") == wanted
