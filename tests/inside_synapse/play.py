"""Acts of the users of two Synapses in one room, written down as they are answered."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attrs

from tests.interop.client_api import SynapseUser
from tests.interop.synapse import Synapse

__all__ = ["Flow", "Pair", "Play", "Told"]

PATIENCE: Final = 10.0
MOMENT: Final = 0.5

Told = tuple[str, int, str | None]
"""A request, the status of the answer, and its errcode."""

Places = Mapping[tuple[str, str], str]


@attrs.frozen
class Pair:
    """Two servers, and those of their users who play: three here, two there.

    While the file `gate` is there, the server here tells no other server the state of a room.
    """

    ana: SynapseUser
    ben: SynapseUser
    cay: SynapseUser
    dan: SynapseUser
    eve: SynapseUser
    gate: Path

    @classmethod
    def of(cls, here: Synapse, there: Synapse, gate: Path) -> Pair:
        """Register the users."""
        ana, ben, cay = (here.register(name) for name in ("ana", "ben", "cay"))
        dan, eve = (there.register(name) for name in ("dan", "eve"))
        return cls(ana, ben, cay, dan, eve, gate)

    @property
    def users(self) -> Mapping[str, SynapseUser]:
        """The users by name."""
        return {name: getattr(self, name) for name in ("ana", "ben", "cay", "dan", "eve")}


@attrs.define
class Play:
    """A flow in one room version, while it runs.

    Attributes:
        pair: the servers and users.
        version: the room version.
        told: the answers up to now.
    """

    pair: Pair
    version: str
    told: list[Told] = attrs.field(factory=list)

    @property
    def name_of(self) -> Mapping[str, str]:
        """The names of the users by their IDs."""
        return {user.user_id: name for name, user in self.pair.users.items()}

    @property
    def via(self) -> str:
        """The server on which the rooms are made."""
        return server_of(self.pair.ana)

    def ask(
        self,
        user: SynapseUser,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        what: str = "",
    ) -> Any:
        """Send a request and write down the answer."""
        status, answer = user.request(method, path, body, query, timeout=PATIENCE)
        asked = f"{self.name_of[user.user_id]} {what or path}"
        self.told.append((asked, status, answer.get("errcode")))
        return answer

    def room(
        self,
        user: SynapseUser | None = None,
        *,
        preset: str = "public_chat",
        join_rule: Any = None,
        levels: Any = None,
        **more: Any,
    ) -> str:
        """Create a room; empty when that was refused."""
        body: dict[str, Any] = {"room_version": self.version, "preset": preset, **more}
        if join_rule is not None:
            content = join_rule if isinstance(join_rule, dict) else {"join_rule": join_rule}
            rules = {"type": "m.room.join_rules", "state_key": "", "content": content}
            body["initial_state"] = [*more.get("initial_state", ()), rules]
        if levels is not None:
            body["power_level_content_override"] = levels
        room_id: str = self.ask(user or self.pair.ana, "POST", "createRoom", body).get(
            "room_id", ""
        )
        return room_id

    def restricted_to(self, room_id: str, rule: str = "restricted") -> Any:
        """A join rule that lets in the members of a room."""
        return {"join_rule": rule, "allow": [{"type": "m.room_membership", "room_id": room_id}]}

    def join(self, user: SynapseUser, room_id: str, **body: Any) -> None:
        """Join, by the server on which the room was made, and wait until the members are known.

        While the state is held back, return as soon as the join is answered.
        """
        self.ask(user, "POST", f"join/{quoted(room_id)}", body, query=self._via, what="joins")
        # Until the rest of the state has come, what is answered depends on when it comes.
        if self.told[-1][1] == 200 and not self.pair.gate.exists():
            user.request("GET", f"rooms/{quoted(room_id)}/members", timeout=PATIENCE)

    def knock(self, user: SynapseUser, room_id: str) -> None:
        """Knock."""
        self.ask(user, "POST", f"knock/{quoted(room_id)}", {}, query=self._via, what="knocks")

    def leave(self, user: SynapseUser, room_id: str) -> None:
        """Leave, reject, or take a knock back."""
        self.ask(user, "POST", f"rooms/{quoted(room_id)}/leave", {}, what="leaves")

    def act(self, user: SynapseUser, action: str, target: SynapseUser, room_id: str) -> None:
        """Invite, kick, ban or unban."""
        body = {"user_id": target.user_id}
        what = f"{action} {self.name_of[target.user_id]}"
        self.ask(user, "POST", f"rooms/{quoted(room_id)}/{action}", body, what=what)

    def set(
        self, user: SynapseUser, room_id: str, kind: str, content: Any, key: str = ""
    ) -> str | None:
        """Send a state event; returns its ID."""
        path = f"rooms/{quoted(room_id)}/state/{quoted(kind)}/{quoted(key)}"
        event_id: str | None = self.ask(user, "PUT", path, content, what=f"sets {kind}").get(
            "event_id"
        )
        return event_id

    def say(self, user: SynapseUser, room_id: str, kind: str = "m.room.message") -> str:
        """Send a message; returns its ID, or one that nobody has."""
        path = f"rooms/{quoted(room_id)}/send/{kind}/{uuid.uuid4().hex}"
        body = {"msgtype": "m.text", "body": "hello"}
        answer = self.ask(user, "PUT", path, body, what=f"sends {kind}")
        event_id: str = answer.get("event_id", "$nothing")
        return event_id

    def redact(self, user: SynapseUser, room_id: str, event_id: str) -> None:
        """Redact an event."""
        path = f"rooms/{quoted(room_id)}/redact/{quoted(event_id)}/{uuid.uuid4().hex}"
        self.ask(user, "PUT", path, {}, what="redacts")

    def levels(self, room_id: str, **changes: Any) -> dict[str, Any]:
        """The power levels of a room with some of them changed; `users` by user ID are added."""
        path = f"rooms/{quoted(room_id)}/state/m.room.power_levels/"
        status, content = self.pair.ana.request("GET", path)
        assert status == 200, content
        if "users" in changes:
            changes["users"] = {**content.get("users", {}), **changes["users"]}
        return {**content, **changes}

    def empower(self, user: SynapseUser, room_id: str, level: int) -> None:
        """Ana gives a user a level."""
        changed = self.levels(room_id, users={user.user_id: level})
        self.set(self.pair.ana, room_id, "m.room.power_levels", changed)

    def agreed(self, room_id: str, *users: SynapseUser) -> None:
        """Wait until these users' servers show the same state, and write down whether they do.

        By default ana's, and that of eve or dan, as ana's server shows one of them in the room.
        """
        watching = users or (self.pair.ana, self._guest(room_id))

        def alike() -> bool:
            found = [places(user, room_id) for user in watching]
            return None not in found and all(state == found[0] for state in found)

        self.told.append((f"agreed {len(watching)}", 200 if until(alike) else 0, None))
        self.told.extend(
            (f"{self.name_of[key]} is {membership}", 200, None)
            for key, membership in sorted(memberships(watching[0], room_id).items())
            if key in self.name_of
        )

    def knows(self, user: SynapseUser, room_id: str, target: SynapseUser, membership: str) -> None:
        """Wait until a user's server knows a membership that another server tells."""

        def known() -> bool:
            return memberships(user, room_id).get(target.user_id) == membership

        what = f"{self.name_of[user.user_id]} knows {self.name_of[target.user_id]} by {membership}"
        self.told.append((what, 200 if until(known) else 0, None))

    def sees(self, user: SynapseUser, room_id: str, kind: str) -> None:
        """Wait until a user's sync has the room among those of a kind: join, invite, knock."""

        def shown() -> bool:
            return room_id in user.sync().get("rooms", {}).get(kind, {})

        name = self.name_of[user.user_id]
        self.told.append((f"{name} sees {kind}", 200 if until(shown) else 0, None))

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let a server that joins now know no more members than the answer to its join shows."""
        self.pair.gate.touch()
        try:
            yield
        finally:
            self.pair.gate.unlink()

    def waits_for_members(self, user: SynapseUser, room_id: str) -> None:
        """Write down that a user's server cannot list the members yet."""
        try:
            user.request("GET", f"rooms/{quoted(room_id)}/members", timeout=MOMENT)
            status = 0
        except OSError:
            status = 200
        self.told.append((f"{self.name_of[user.user_id]} waits for the members", status, None))

    def shows(self, user: SynapseUser, room_id: str, kind: str, content: Any) -> None:
        """Wait until a user's server has a state event, and so what came before it."""
        path = f"rooms/{quoted(room_id)}/state/{quoted(kind)}/"

        def there() -> bool:
            return user.request("GET", path, timeout=PATIENCE) == (200, content)

        name = self.name_of[user.user_id]
        self.told.append((f"{name} has {kind}", 200 if until(there) else 0, None))

    def _guest(self, room_id: str) -> SynapseUser:
        members = memberships(self.pair.ana, room_id)
        joined = members.get(self.pair.eve.user_id) == "join"
        return self.pair.eve if joined else self.pair.dan

    @property
    def _via(self) -> Mapping[str, str]:
        return {"via": self.via, "server_name": self.via}


@attrs.frozen
class Flow:
    """Something that users do in a room.

    Attributes:
        name: what it is called.
        run: does it.
        versions: the room versions in which it has a meaning.
    """

    name: str
    run: Callable[[Play], None]
    versions: tuple[str, ...]

    def played(self, pair: Pair, version: str) -> list[Told]:
        """Run it, and return the answers."""
        play = Play(pair, version)
        self.run(play)
        return play.told


def quoted(part: str) -> str:
    """A part of a path."""
    return quote(part, safe="")


def server_of(user: SynapseUser) -> str:
    """The server of a user."""
    return user.user_id.partition(":")[2]


def places(user: SynapseUser, room_id: str) -> Places | None:
    """The event IDs of a room's state, as a user's server shows it."""
    events = shown(user, room_id)
    if events is None:
        return None
    return {(event["type"], event["state_key"]): event["event_id"] for event in events}


def memberships(user: SynapseUser, room_id: str) -> Mapping[str, str]:
    """The memberships in a room, as a user's server shows them."""
    return {
        event["state_key"]: str(event["content"].get("membership"))
        for event in shown(user, room_id) or ()
        if event["type"] == "m.room.member"
    }


def shown(user: SynapseUser, room_id: str) -> Iterable[Any] | None:
    """The state of a room; None when the user may not see it."""
    status, events = user.request("GET", f"rooms/{quoted(room_id)}/state", timeout=PATIENCE)
    return events if status == 200 else None


def until(fact: Callable[[], bool]) -> bool:
    """Wait until something is so; false when it never is."""
    end = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.03)
    return True
