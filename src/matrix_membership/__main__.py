"""`matrix-membership`, or `python -m matrix_membership`: the command line."""

from __future__ import annotations

import os
import sys
from io import StringIO

from matrix_membership.cli import UNREADABLE, main

_SIGPIPE = 128 + 13
"""The exit code that shells show for a program whose reader went away."""


def run() -> int:
    """Run the command line of the process, and return its exit code."""
    # A service may run it with closed streams, which Python sets to None. The exit code still
    # tells the answer then; an error over the stream would end the process with 1, a no.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, StringIO())
    try:
        code = main()
        sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes standard output once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return _SIGPIPE
        sys.stderr.write(f"{error}\n")  # a full disk, for one
        return UNREADABLE
    return code


if __name__ == "__main__":
    sys.exit(run())
