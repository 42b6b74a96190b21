"""matrix-nio's own tests of events pass with the adapter inside: `make inside-nio NIO_SOURCE=...`.

They are not in its packages, so they come from a folder that holds its source.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from matrix_membership import KNOWN
from tests.sources import ROOT

SOURCE: Final = os.environ.get("NIO_SOURCE", "")
IMPORTS: Final = (Path(__file__).parent / "within", ROOT / "src", ROOT / "docs" / "examples")

pytestmark = [
    pytest.mark.observatory,
    pytest.mark.skipif(not SOURCE, reason="NIO_SOURCE names no folder with matrix-nio's source"),
]


@pytest.mark.parametrize("version", KNOWN)
def test_pass_with_levels_by_the_rules(version: str, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(Path(SOURCE).resolve() / "tests")
    more = {"PYTHONPATH": os.pathsep.join(map(str, IMPORTS)), "ROOM_VERSION": version}
    options = ("-q", "--noconftest", "-p", "rule_levels", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/event_test.py"],
        cwd=tmp_path,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[1-9]\d* by the rules$", done.stdout, re.MULTILINE), done.stdout
