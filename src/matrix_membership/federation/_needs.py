"""Gathering the keys to fetch: of servers whose signature is required, a bounded number."""

from __future__ import annotations

from matrix_membership.identifiers import ServerName, is_server_name
from matrix_membership.signing import ALGORITHM, MOST_NEEDED_KEY_IDS

__all__ = ["Needs"]


class Needs:
    """Gathers servers and key IDs up to a bound; lives no longer than that.

    Each server named is a request to it. Without a bound one message, full of invented
    senders, makes its receiver ask any number of strangers.
    """

    __slots__ = ("found", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.found: dict[ServerName, set[str]] = {}

    def add(self, server: ServerName, key_id: str) -> None:
        """Ask for a key, unless there are enough servers or keys of this server already."""
        if not key_id.startswith(f"{ALGORITHM}:"):
            return  # a signature of another algorithm is skipped
        asked = self.found.get(server)
        if asked is None:
            if len(self.found) >= self.most or not is_server_name(server):
                return
            asked = self.found[server] = set()
        if len(asked) < MOST_NEEDED_KEY_IDS:
            asked.add(key_id)

    def given(self) -> dict[ServerName, frozenset[str]]:
        """For each server, key IDs."""
        return {server: frozenset(key_ids) for server, key_ids in self.found.items()}
