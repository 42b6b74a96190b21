"""One Synapse for all tests of a run: starting it takes two seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.synapse import Synapse, SynapseFailed

__all__ = ["synapse"]


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """A running Synapse; without one the test fails, for a skipped interop run would look like a passed one."""
    try:
        server = Synapse()
    except SynapseFailed as missing:
        pytest.fail(str(missing), pytrace=False)
    with server:
        yield server
