"""Build the playground beside the site: `make playground` runs this. It needs npm and a package index.

Pyodide comes from npm, the pure Python packages from the package index, the library from this checkout. All files end in one
folder, which any web server can serve; the page asks no other server.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PYODIDE = "314.0.7"
CORE = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "pyodide-lock.json",
    "python_stdlib.zip",
)
PURE = ("attrs", "canonicaljson")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / "build" / "playground"
SITE = ROOT / "build" / "docs" / "playground"


def run(*command: str) -> None:
    """Run a command in the work folder."""
    subprocess.run(command, cwd=WORK, check=True)


def main() -> None:
    """Fetch Pyodide and the packages, and put them together."""
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    WORK.mkdir(parents=True)
    SITE.mkdir(parents=True)
    run("npm", "pack", "--silent", f"pyodide@{PYODIDE}")
    with tarfile.open(WORK / f"pyodide-{PYODIDE}.tgz") as package:
        for name in CORE:
            package.extract(f"package/{name}", WORK, filter="data")
            shutil.copy(WORK / "package" / name, SITE)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", "wheels", *PURE, str(ROOT))
    with zipfile.ZipFile(SITE / "packages.zip", "w", zipfile.ZIP_DEFLATED) as packages:
        for wheel in sorted((WORK / "wheels").glob("*-none-any.whl")):
            with zipfile.ZipFile(wheel) as files:
                for name in files.namelist():
                    packages.writestr(name, files.read(name))
    for name in ("index.html", "playground.js", "ask.py"):
        shutil.copy(HERE / name, SITE)


if __name__ == "__main__":
    main()
