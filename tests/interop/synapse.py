"""A real Synapse on loopback, run by an interpreter of its own for as long as a `with` block lasts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from tests.interop.client_api import CallFailed, JsonValue, SynapseUser, call
from tests.interop.configuration import FOR_TESTS, LOOPBACK, UNLIMITED, listener

__all__ = ["Certificate", "Synapse", "SynapseFailed", "self_signed", "synapse_python", "wait_until"]

T = TypeVar("T")

START = """
import os, runpy, threading

def end_with_the_test():
    os.read(0, 1)
    os._exit(0)

threading.Thread(target=end_with_the_test, daemon=True).start()
runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)
"""
"""Starts Synapse and ends it when its standard input closes, so that even a killed test leaves none behind."""

CERTIFY = """
import datetime, ipaddress, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

certificate_path, key_path = map(pathlib.Path, sys.argv[1:])
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
certificate = (
    x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    .sign(key, hashes.SHA256())
)
certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
key_path.write_bytes(
    key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)
"""


class SynapseFailed(Exception):
    """Synapse is not there or did not start; the text says why and ends with its log."""


class Certificate(NamedTuple):
    """A self-signed certificate for `localhost` and `127.0.0.1` and its key, both PEM files."""

    certificate: Path
    key: Path


def synapse_python() -> str:
    """Returns the interpreter of the environment that Synapse is installed in.

    Returns:
        The value of `SYNAPSE_PYTHON`.

    Raises:
        SynapseFailed: The variable is not set, or there is no such program.
    """
    python = os.environ.get("SYNAPSE_PYTHON", "")
    if not os.access(python, os.X_OK):
        raise SynapseFailed(
            f"SYNAPSE_PYTHON must name the Python of a virtual environment with Synapse in it, but it is {python!r}:"
            " make one and install tests/oracle_synapse/requirements.txt there"
        )
    return python


def self_signed(python: str, directory: Path) -> Certificate:
    """Makes a P-256 certificate that lasts a day.

    Args:
        python: An interpreter that has the `cryptography` package, as Synapse's has.
        directory: Where the two files go.

    Returns:
        Their paths.
    """
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    subprocess.run([python, "-I", "-c", CERTIFY, *map(str, made)], check=True, timeout=60)
    return made


def wait_until(fact: Callable[[], T], timeout: float = 10.0, *, interval: float = 0.05) -> T:
    """Asks again and again until the answer is true.

    Args:
        fact: What is asked.
        timeout: Seconds after which waiting ends.
        interval: Seconds between two questions.

    Returns:
        The first answer that counts as true.

    Raises:
        TimeoutError: There was none in time; the last answer is in the text.
    """
    end = time.monotonic() + timeout
    while not (answer := fact()):
        if time.monotonic() > end:
            raise TimeoutError(f"{fact} was still {answer!r} after {timeout} s")
        time.sleep(interval)
    return answer


class Synapse:
    """A homeserver with an empty database, on free ports of 127.0.0.1.

    Its root is a directory made for it, in a tmpfs when there is one, and removed with it. `SYNAPSE_DIRECTORY` names
    another place for roots; `SYNAPSE_LOGS` names a directory in which the logs stay.

    Args:
        python: Interpreter of Synapse's environment; by default `SYNAPSE_PYTHON`.
        options: Configuration to add to, or put in place of, what tests need.
        imports: Directories from which its modules are imported.

    Attributes:
        server_name: What other servers call it; ends with the TLS port.
        base_url: Address of the plain listener, which serves both APIs.
        log: File with everything that it wrote.
    """

    def __init__(
        self,
        python: str | None = None,
        *,
        options: Mapping[str, JsonValue] | None = None,
        imports: Iterable[Path] = (),
    ) -> None:
        self.python = python or synapse_python()
        # It runs isolated from the environment, so its path is part of its program.
        self._program = f"import sys; sys.path += {[str(path) for path in imports]}\n{START}"
        self._options = dict(options or {})
        self._secret = secrets.token_hex()
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="synapse-", dir=_place_for_roots())
        self.root = Path(self._directory.name)
        self.federation_port, self.client_port = _free_ports()
        self.server_name = f"{LOOPBACK}:{self.federation_port}"
        self.base_url = f"http://{LOOPBACK}:{self.client_port}"
        self.log = (
            Path(os.environ.get("SYNAPSE_LOGS", self.root)) / f"synapse-{self.federation_port}.log"
        )

    def __enter__(self) -> Self:
        try:
            self._configure()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, timeout: float = 60.0) -> None:
        """Starts it on its database and waits until it answers.

        Args:
            timeout: Seconds that this may take; two are usual.

        Raises:
            SynapseFailed: It ended, or did not answer in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.python, "-I", "-c", self._program, "-c", str(self.root / "homeserver.json")],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=environment,
                start_new_session=True,
            )
        try:
            wait_until(self._answers, timeout)
        except TimeoutError as problem:
            raise SynapseFailed(
                f"Synapse did not answer in {timeout} s\n{self.log_tail()}"
            ) from problem

    def _answers(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise SynapseFailed(f"Synapse ended with {code} when it was started\n{self.log_tail()}")
        try:
            return call("GET", f"{self.base_url}/health", timeout=5)[0] == 200
        except OSError:
            return False

    def stop(self, *, timeout: float = 10.0) -> None:
        """Ends it and everything that it started; the database stays, and `start` goes on with it.

        Args:
            timeout: Seconds until a polite request becomes a kill.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        with process:  # waits for its end and closes its pipe, whatever happens
            _signal(process, signal.SIGTERM)
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout)
            finally:
                if process.returncode is None:
                    _signal(process, signal.SIGKILL)

    def close(self) -> None:
        """Ends it and removes its root."""
        try:
            self.stop()
        finally:
            self._directory.cleanup()

    def log_tail(self, lines: int = 40) -> str:
        """Returns the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def register(
        self, localpart: str, *, admin: bool = False, timeout: float = 30.0
    ) -> SynapseUser:
        """Makes a user with the shared secret.

        Args:
            localpart: What stands before the server in the user's id.
            admin: Whether they administer the server.
            timeout: Seconds.

        Returns:
            The user, logged in.
        """
        url = f"{self.base_url}/_synapse/admin/v1/register"
        nonce: str = _expect(call("GET", url, timeout=timeout))["nonce"]
        password = secrets.token_hex()
        signed = f"{nonce}\0{localpart}\0{password}\0{'' if admin else 'not'}admin".encode()
        mac = hmac.new(self._secret.encode(), signed, hashlib.sha1).hexdigest()
        body = {
            "nonce": nonce,
            "username": localpart,
            "password": password,
            "admin": admin,
            "mac": mac,
        }
        made = _expect(call("POST", url, body, timeout=timeout))
        return SynapseUser(self.base_url, made["user_id"], made["access_token"])

    def _configure(self) -> None:
        tls = self_signed(self.python, self.root)
        key = self.root / "signing.key"
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        key.write_text(f"ed25519 a_{secrets.token_hex(2)} {seed}\n")
        settings = {
            "server_name": self.server_name,
            "pid_file": str(self.root / "synapse.pid"),
            "listeners": [
                listener(self.federation_port, "federation", tls=True),
                listener(self.client_port, "client", "federation", tls=False),
            ],
            "tls_certificate_path": str(tls.certificate),
            "tls_private_key_path": str(tls.key),
            "signing_key_path": str(key),
            "database": {"name": "sqlite3", "args": {"database": str(self.root / "homeserver.db")}},
            "media_store_path": str(self.root / "media"),
            "registration_shared_secret": self._secret,
            "macaroon_secret_key": secrets.token_hex(),
            "form_secret": secrets.token_hex(),
            **FOR_TESTS,
            **UNLIMITED,
            **self._options,
        }
        (self.root / "homeserver.json").write_text(json.dumps(settings, indent=1))


def _expect(answer: tuple[int, JsonValue]) -> JsonValue:
    status, body = answer
    if status != 200:
        raise CallFailed("register", status, body)
    return body


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # A process that was started in a session of its own leads a group with its own id.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _place_for_roots() -> str:
    # SQLite's commits cost tens of milliseconds on a disk.
    memory = "/dev/shm"  # noqa: S108 - only the parent of a directory with a random name
    usual = memory if os.access(memory, os.W_OK | os.X_OK) else tempfile.gettempdir()
    return os.environ.get("SYNAPSE_DIRECTORY", usual)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind((LOOPBACK, 0))
        second.bind((LOOPBACK, 0))
        return first.getsockname()[1], second.getsockname()[1]
