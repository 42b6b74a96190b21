"""One Synapse for all tests of a run: starting it takes two seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Certificate, Synapse, SynapseFailed, self_signed, synapse_python

__all__ = ["certificate", "peer", "sam", "synapse", "third", "tom"]


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """A running Synapse; without one the test fails, for a skipped interop run would look like a passed one."""
    try:
        server = Synapse()
    except SynapseFailed as missing:
        pytest.fail(str(missing), pytrace=False)
    with server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(synapse_python(), tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def peer(certificate: Certificate) -> Iterator[Peer]:
    """Our server."""
    with Peer(certificate) as running:
        yield running


@pytest.fixture(scope="session")
def third(certificate: Certificate) -> Iterator[Peer]:
    """Another server of ours."""
    with Peer(certificate) as running:
        yield running


@pytest.fixture(scope="session")
def sam(synapse: Synapse) -> SynapseUser:
    return synapse.register("sam")


@pytest.fixture(scope="session")
def tom(synapse: Synapse) -> SynapseUser:
    return synapse.register("tom")
