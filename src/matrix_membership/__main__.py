"""`matrix-membership`, or `python -m matrix_membership`: the command line."""

from __future__ import annotations

import os
import sys

from matrix_membership.cli import main

_SIGPIPE = 128 + 13
"""The exit code that shells show for a program whose reader went away."""


def run() -> int:
    """Run the command line of the process, and return its exit code."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGPIPE
    return code


if __name__ == "__main__":
    sys.exit(run())
