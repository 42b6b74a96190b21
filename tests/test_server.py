"""The face for servers: with that of the package, all that the example homeserver imports."""

from __future__ import annotations

import ast

import matrix_membership
from matrix_membership import client, server
from tests.sources import ROOT, imports_of

EXAMPLE = ROOT / "docs" / "examples" / "homeserver"


class TestFace:
    def test_repeats_no_name_of_the_package(self) -> None:
        assert set(server.__all__) & set(matrix_membership.__all__) == set()

    def test_gives_the_example_all_that_it_imports(self) -> None:
        faces = {
            f"{face.__name__}.{name}"
            for face in (matrix_membership, server, client)
            for name in face.__all__
        }
        used = {
            name
            for path in EXAMPLE.glob("*.py")
            for name in imports_of(ast.parse(path.read_text("utf-8")))
            if name.partition(".")[0] == "matrix_membership"
        }
        assert used - faces == set()
