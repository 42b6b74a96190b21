"""Run the server as a process, on loopback and without TLS, to talk to with curl.

    python -m homeserver --name a.example --port 8008 --peer b.example=127.0.0.1:8009
    python -m homeserver --name b.example --port 8009 --peer a.example=127.0.0.1:8008

It prints a line when it listens, and one for every request that it makes to another server.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import signal
import socket
import sys
from base64 import b64encode
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import unquote

import attrs

from homeserver.answers import Answer, listening
from homeserver.endpoints import Endpoints
from homeserver.server import Homeserver
from homeserver.transport import Transport, on_loopback
from matrix_membership import Signer
from matrix_membership.server import InvalidKey, Request, is_server_name

LOOPBACK: Final = "127.0.0.1"
KEY_ID: Final = "ed25519:1"


@attrs.frozen
class Options:
    """The options of the command line.

    Attributes:
        name: the server's name; None: the address at which it listens.
        port: the port on loopback; 0: any free port.
        seed: the seed of its key, in base64; None: made from its name.
        peers: where other servers listen, by name.
        identity_servers: the identity servers that it trusts.
    """

    name: str | None
    port: int
    seed: str | None
    peers: dict[str, str]
    identity_servers: frozenset[str]

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Options:
        """Read the command line; end the process if it is wrong."""
        parser = argparse.ArgumentParser(prog="homeserver", description="An example homeserver.")
        parser.add_argument("--name", type=_name, help="its name; else 127.0.0.1 and the port")
        parser.add_argument("--port", type=int, default=8008, help="on loopback; 0 for a free one")
        parser.add_argument(
            "--seed", type=_seed, help="of its Ed25519 key, in base64; else one made from its name"
        )
        parser.add_argument(
            "--peer",
            type=_peer,
            action="append",
            default=[],
            metavar="NAME=HOST:PORT",
            help="where another server listens; else its name is taken for its address",
        )
        parser.add_argument(
            "--identity-server",
            type=_name,
            action="append",
            default=[],
            metavar="NAME",
            help="trust it with invites by address; a --peer too, if its name is not an address",
        )
        read = parser.parse_args(arguments)
        identity_servers = frozenset(read.identity_server)
        return cls(read.name, read.port, read.seed, dict(read.peer), identity_servers)


def _name(text: str) -> str:
    if not is_server_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a server name")
    return text


def _seed(text: str) -> str:
    try:
        Signer.from_seed(LOOPBACK, KEY_ID, text)
    except InvalidKey as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _peer(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    if not is_server_name(name) or not is_server_name(address):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=HOST:PORT")
    return name, address


def seed_of(name: str) -> str:
    """Make a seed from a name: the same at every start, and known to all. For loopback only."""
    return b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")


def witness(_: str, destination: str, request: Request, answer: Answer | None) -> None:
    """Print a request to another server and the status of its answer."""
    if answer is not None:
        path = unquote(request.path)
        # Strangers choose the names of rooms and events, and a terminal obeys control characters.
        path = path if path.isprintable() else request.path
        print(f"to {destination}: {request.method} {path} -> {answer.status}", flush=True)


async def serve(options: Options) -> None:
    """Listen until a signal ends the process."""
    listener = socket.create_server((LOOPBACK, options.port))
    address = f"{LOOPBACK}:{listener.getsockname()[1]}"
    name = options.name or address
    signer = Signer.from_seed(name, KEY_ID, options.seed or seed_of(name))
    peers = options.peers
    transport = Transport(
        signer,
        scheme="http",
        addresses=peers,
        witness=witness,
        reaches=lambda asked: asked in peers.values() or on_loopback(asked),
    )
    server = Homeserver(transport)
    server.identity_servers = options.identity_servers
    told_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(Endpoints(server).application(), listener))
        stack.push_async_callback(server.close)
        print(f"{name} listens on http://{address}", flush=True)
        await told_to_end.wait()


def main(arguments: Sequence[str]) -> int:
    """Serve; return the exit status."""
    asyncio.run(serve(Options.read(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
