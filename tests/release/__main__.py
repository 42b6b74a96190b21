"""Build the distributions, and check all that a release needs: `make release-check`.

Each check is one function and prints one line. The first that fails ends the run.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs

from tests.sources import PACKAGE, ROOT

LARGEST_SDIST: Final = 1_500_000
"""In bytes."""


class NotReady(Exception):
    """Something that a release needs is missing."""


@attrs.frozen
class Built:
    """The distributions, and their place.

    Attributes:
        version: the version of the package.
        folder: a folder that is removed at the end.
        sdist: the source distribution.
        wheel: the wheel, built from the unpacked source distribution.
    """

    version: str
    folder: Path
    sdist: Path
    wheel: Path

    @property
    def unpacked(self) -> Path:
        """The unpacked source distribution."""
        return self.folder / "unpacked" / self.sdist.name.removesuffix(".tar.gz")


def run(*command: str | Path, cwd: Path = ROOT, search: str = "") -> str:
    """Run a command and return what it prints; its output is in the error if it fails.

    `search` replaces PYTHONPATH, so that a check never finds the modules of the checkout by accident.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise NotReady(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build `sdist` or `wheel` of a tree."""
    run(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder, source)
    (built,) = folder.iterdir()
    return built


def version_in(path: str, pattern: str) -> str:
    """The version that a file names."""
    found = re.search(pattern, (ROOT / path).read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise NotReady(f"{path} has no match for {pattern!r}")
    return found[1]


def build_all(folder: Path) -> Built:
    """Build the source distribution, and the wheel from it."""
    sdist = build("sdist", ROOT, folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (tree,) = (folder / "unpacked").iterdir()
    version = version_in(f"src/{PACKAGE}/__init__.py", r'^__version__ = "(.+)"$')
    return Built(version, folder, sdist, build("wheel", tree, folder / "wheel"))


# ------------------------------------------------------------------------ checks


def is_reproducible(built: Built) -> str:
    """Compare with a second build, of the checkout."""
    again = build("wheel", ROOT, built.folder / "again")
    if again.name != built.wheel.name or digest(again) != digest(built.wheel):
        raise NotReady(
            "the wheel of the checkout differs from the wheel of the source distribution"
        )
    return f"two builds, one hash: {digest(again)[:16]}…"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return sha256(path.read_bytes()).hexdigest()


def is_small(built: Built) -> str:
    """Hold the size of the source distribution."""
    size = built.sdist.stat().st_size
    if size > LARGEST_SDIST:
        raise NotReady(f"{built.sdist.name} has {size} bytes, at most {LARGEST_SDIST} are allowed")
    return f"the source distribution has {size:,} bytes, the wheel {built.wheel.stat().st_size:,}"


def has_valid_metadata(built: Built) -> str:
    """Ask twine, which knows what a package index refuses."""
    run(sys.executable, "-m", "twine", "check", "--strict", built.sdist, built.wheel)
    return "twine accepts the metadata and the README"


def holds_the_package_alone(built: Built) -> str:
    """Compare the names in the wheel with the modules of the checkout."""
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    wanted = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    wanted.add(f"{PACKAGE}/py.typed")
    information = f"{PACKAGE}-{built.version}.dist-info"
    found = {name for name in names if not name.startswith(f"{information}/")}
    if found != wanted:
        raise NotReady(f"the wheel and the checkout differ in {sorted(found ^ wanted)}")
    if f"{information}/licenses/LICENSE" not in names:
        raise NotReady("the licence is not in the wheel")
    return f"the wheel holds {len(found)} files of the package, its types and the licence"


def has_one_version(built: Built) -> str:
    """Compare the version of the package with all that name it."""
    named = {
        "the source distribution": built.sdist.name.removesuffix(".tar.gz").rpartition("-")[2],
        "CITATION.cff": version_in("CITATION.cff", r"^version: (.+)$"),
        "CHANGELOG.md": version_in("CHANGELOG.md", r"^## \[?v?(\d[^\s\]]*)"),
    }
    for where, version in named.items():
        if version != built.version:
            raise NotReady(f"{where} has version {version}, the package {built.version}")
    return f"version {built.version} in the package, {', '.join(named)}"


def installs_and_runs(built: Built) -> str:
    """Install the wheel into an empty environment and run the README's code there."""
    folder = built.folder / "environment"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", built.wheel)
    run(python, "-m", "pip", "check")
    elsewhere = built.folder / "elsewhere"
    elsewhere.mkdir()
    snippets = list(python_of((ROOT / "README.md").read_text("utf-8")))
    for snippet in snippets:
        run(python, "-I", "-W", "error", "-c", snippet, cwd=elsewhere)
    printed = run(folder / "bin" / "matrix-membership", "--version", cwd=elsewhere).strip()
    if not printed.endswith(built.version):
        raise NotReady(f"matrix-membership --version printed {printed!r}")
    return (
        f"installed in an empty environment: {printed}, and {len(snippets)} snippet of the README"
    )


def python_of(page: str) -> Iterator[str]:
    """The blocks of Python in a page."""
    yield from re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def passes_its_tests(built: Built, tests: str) -> str:
    """Run tests from the unpacked source distribution, against its own modules."""
    printed = run(
        *(sys.executable, "-m", "pytest", "--quiet", "-n", "auto", "-p", "no:cacheprovider"),
        *tests.split(),
        cwd=built.unpacked,
        # Before the checkout, which is installed in this environment for its tools.
        search=str(built.unpacked / "src"),
    )
    return f"from the source distribution: {printed.strip().splitlines()[-1]}"


CHECKS: Final[tuple[Callable[[Built], str], ...]] = (
    is_reproducible,
    is_small,
    has_valid_metadata,
    holds_the_package_alone,
    has_one_version,
    installs_and_runs,
)


def main() -> None:
    """Run the checks in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("--tests", default="tests", help="what to run from the source distribution")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        built = build_all(Path(folder))
        for check in CHECKS:
            print(check(built), flush=True)  # noqa: T201 - the output of a command
        print(passes_its_tests(built, options.tests))  # noqa: T201 - the output of a command
        print(f"version {built.version} could be released")  # noqa: T201 - the output of a command


if __name__ == "__main__":
    try:
        main()
    except NotReady as why:
        sys.exit(f"not ready: {why}")
