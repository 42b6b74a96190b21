"""`python -m matrix_membership`: run the command line of `cli`."""

from __future__ import annotations

import sys

from matrix_membership.cli import main

if __name__ == "__main__":
    sys.exit(main())
