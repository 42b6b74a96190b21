"""Collect the keys to fetch, from a bounded number of servers."""

from __future__ import annotations

from matrix_membership.identifiers import ServerName, is_server_name
from matrix_membership.signing import ALGORITHM, MOST_NEEDED_KEY_IDS


class KeysToFetch:
    """Collects servers and key IDs, up to a bound.

    Each server in it costs a request. Without the bound, one message full of invented senders
    would make its receiver send requests to any number of servers.
    """

    __slots__ = ("found", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.found: dict[ServerName, set[str]] = {}

    def add(self, server: ServerName, key_id: str) -> None:
        """Add a key, unless the bound on servers, or on keys of this server, is reached."""
        if not key_id.startswith(f"{ALGORITHM}:"):
            return  # a signature of another algorithm is skipped
        asked = self.found.get(server)
        if asked is None:
            # A name outside the grammar leads to no server. Counted, it would take the place of one
            # that can answer.
            if len(self.found) >= self.most or not is_server_name(server):
                return
            asked = self.found[server] = set()
        # Anybody can sign with thousands of invented key IDs in the name of a server.
        if len(asked) < MOST_NEEDED_KEY_IDS:
            asked.add(key_id)

    def given(self) -> dict[ServerName, frozenset[str]]:
        """Return the key IDs of each server."""
        return {server: frozenset(key_ids) for server, key_ids in self.found.items()}
