"""Two homeservers on this machine: a user of one joins rooms of the other, or is refused.

Keys and HTTP are real; matrix_membership makes every message and every decision. The exit status is
0 if everything went as expected, otherwise 1.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from base64 import b64encode
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

from homeserver.answers import Answer, listening
from homeserver.endpoints import Endpoints
from homeserver.joining import complete, join
from homeserver.rooms import Room
from homeserver.server import Homeserver
from homeserver.transport import Transport
from matrix_membership import KNOWN, Decision, Signer, auth
from matrix_membership.server import Joined, Refused, Request

FANS = 300

QUESTIONS = {
    "server": "key        with which key do you sign?",
    "make_join": "make_join  Ben wants to join; what shall his event say?",
    "send_join": "send_join  here it is, hashed and signed",
    "state": "state      who else was in the room?",
}


def endpoint_of(request: Request) -> str:
    """Return the name of the endpoint in a request's path."""
    return request.path.split("/")[4]


def in_words(request: Request, answer: Answer) -> str:
    """Describe an answer in a few words."""
    content: Any = answer.content
    if "errcode" in content:
        return f"{answer.status} {content['errcode']}"
    match endpoint_of(request):
        case "server":
            return f"{', '.join(content['verify_keys'])}, signed with itself"
        case "make_join":
            authoriser = content["event"]["content"].get("join_authorised_via_users_server")
            authorised = f"; {authoriser} authorises the join" if authoriser else ""
            return f"a template for room version {content['room_version']}{authorised}"
        case "send_join":
            omitted = ", members omitted" if content["members_omitted"] else ""
            return (
                f"the room before the join: {len(content['state'])} events{omitted},"
                f" and {len(content['auth_chain'])} that authorise them"
            )
        case _:
            return f"{len(content['pdus'])} events"


class Demo:
    """Prints the conversation, and remembers what did not go as expected."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.surprises: list[str] = []

    def say(self, text: str) -> None:
        """Print a line, with short names for the servers."""
        for long, short in self.names.items():
            text = text.replace(long, short)
        print(f"  {text}")

    def witness(
        self, origin: str, destination: str, request: Request, answer: Answer | None
    ) -> None:
        """Print a request, or its answer."""
        between = f"{self.names[origin]:>5} {{}} {self.names[destination]:<5}"
        if answer is None:
            self.say(f"{between.format('→')}  {QUESTIONS[endpoint_of(request)]}")
        else:
            self.say(f"{between.format('←')}  {in_words(request, answer)}")

    def expect(self, what: str, *, holds: bool) -> None:
        """Remember an expectation that does not hold."""
        if not holds:
            self.surprises.append(what)
            self.say(f"!! this did not turn out as told: {what}")

    async def start(
        self, stack: AsyncExitStack, short: str, room_versions: Iterable[str] = KNOWN
    ) -> Homeserver:
        """Start a homeserver with a new key on a free port of the loopback interface."""
        listener = socket.create_server(("127.0.0.1", 0))
        name = f"127.0.0.1:{listener.getsockname()[1]}"
        self.names[name] = short
        seed = b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        signer = Signer.from_seed(name, f"ed25519:{short}", seed)
        transport = Transport(signer, scheme="http", witness=self.witness)
        server = Homeserver(transport, room_versions=room_versions)
        await stack.enter_async_context(listening(Endpoints(server).application(), listener))
        stack.push_async_callback(server.close)
        return server


class Story:
    """The scenes between Ana's server, the host, and Ben's server, the guest."""

    def __init__(self, demo: Demo, host: Homeserver, guest: Homeserver) -> None:
        self.demo = demo
        self.host = host
        self.guest = guest
        self.ana = f"@ana:{host.name}"
        self.ben = f"@ben:{guest.name}"

    def enter(self, room: Room, names: Iterable[str]) -> None:
        """Let users of the host join."""
        for name in names:
            user = f"@{name}:{self.host.name}"
            join_content = {"membership": "join"}
            self.host.send(room, user, "m.room.member", join_content, state_key=user)

    async def gets_in(self, room: Room, number: str, *, omit_members: bool = False) -> Joined:
        """Let Ben join; expect that the rule of that number allows it."""
        end = await join(
            self.guest, self.ben, room.room_id, [self.host.name], omit_members=omit_members
        )
        if isinstance(end, Refused):
            raise SystemExit(f"Ben was refused: {end.error}")
        decision = auth.check(end.event, room.before[end.event.event_id])
        audit = end.audit
        self.demo.say(f"the guest checks hashes, signatures and rules: {audit}")
        self.demo.expect("an answer without defects", holds=not audit.defects)
        self.demo.say(f"Ben is in: {decision}")
        self.demo.expect(f"rule {number}", holds=decision.allowed and decision.number == number)
        return end

    async def stays_out(self, room: Room, errcode: str, number: str) -> None:
        """Let Ben try; expect a refusal with that code, by the rule of that number."""
        end = await join(self.guest, self.ben, room.room_id, [self.host.name])
        self.demo.expect("a refusal", holds=isinstance(end, Refused) and end.errcode == errcode)
        error = self.host.refusals[-1]
        decision: Decision | None = error.decision
        for index, reason in enumerate(error.error.split("; ")):
            self.demo.say(f"{'               ' if index else 'Ben stays out: '}{reason}")
        cited = decision.number if decision is not None else ""
        self.demo.expect(f"rule {number or 'none'}", holds=cited == number)

    async def public_room(self) -> None:
        """Join a small room: the whole state comes with the answer."""
        chapter("A public room: everybody may come in")
        room = self.host.create_room(self.ana, "12", name="Garden")
        self.enter(room, ["cay", "dan"])
        end = await self.gets_in(room, "5.3.6")
        members = ", ".join(end.state.members)
        self.demo.say(f"both servers know the members: {members}")
        self.demo.expect("the same state", holds=end.state == room.state)

    async def large_room(self) -> None:
        """Join a large room: the members come later."""
        chapter(f"A room of {FANS + 1}: in first, the members later")
        room = self.host.create_room(self.ana, "12", name="Stadium")
        self.enter(room, (f"fan{number}" for number in range(FANS)))
        end = await self.gets_in(room, "5.3.6", omit_members=True)
        fan = f"@fan7:{self.host.name}"
        self.demo.say(f"is fan7 in the room? to the guest that is {end.state.membership_of(fan)}")
        self.demo.expect("a partial state", holds=end.state.is_partial)
        ours = self.guest.rooms[room.room_id]
        await complete(self.guest, ours)
        self.demo.say(f"is fan7 in the room? {ours.state.membership_of(fan)}")
        self.demo.expect("the whole state", holds=ours.state == room.state)

    async def restricted_room(self) -> None:
        """Join a restricted room: a server authorises members of another room to join."""
        chapter("A restricted room: members of the club may come in")
        club = self.host.create_room(self.ana, "11", name="Club")
        room = self.host.create_room(
            self.ana, "11", join_rule="restricted", allow=[club.room_id], name="Back room"
        )
        self.demo.say("Ben tries it without being in the club:")
        await self.stays_out(room, "M_FORBIDDEN", "4.3.5.2")
        print()
        self.demo.say("so he joins the club first:")
        await self.gets_in(club, "4.3.6")
        print()
        self.demo.say("and tries again:")
        end = await self.gets_in(room, "4.3.5.3")
        self.demo.say(f"his join is signed by {' and '.join(sorted(end.event.signed_by))}")
        both = {self.host.name, self.guest.name}
        self.demo.expect("both signatures", holds=end.event.signed_by == both)

    async def closed_rooms(self) -> None:
        """Try two rooms that Ben may not join."""
        chapter("A room for those who are invited")
        await self.stays_out(
            self.host.create_room(self.ana, "10", join_rule="invite"), "M_FORBIDDEN", "4.3.7"
        )
        chapter("A public room from which Ben is banned")
        room = self.host.create_room(self.ana, "12")
        ban = {"membership": "ban"}
        self.host.send(room, self.ana, "m.room.member", ban, state_key=self.ben)
        await self.stays_out(room, "M_FORBIDDEN", "5.3.3")

    async def foreign_room(self) -> None:
        """Try a room whose version Ben's server does not know."""
        chapter("A room of version 12, and Ben's server is old")
        room = self.host.create_room(self.ana, "12")
        self.guest.room_versions = {name: KNOWN[name] for name in ("1", "6", "11")}
        await self.stays_out(room, "M_INCOMPATIBLE_ROOM_VERSION", "")


def chapter(title: str) -> None:
    """Print a heading."""
    print(f"\n{title}\n{'─' * len(title)}")


async def main() -> int:
    """Play all scenes; return the exit status."""
    demo = Demo()
    async with AsyncExitStack() as stack:
        host = await demo.start(stack, "host")
        guest = await demo.start(stack, "guest")
        print("Two homeservers on this machine, each with a key of its own:\n")
        print(f"  host   is {host.name}, where Ana has rooms")
        print(f"  guest  is {guest.name}, where Ben lives, who wants to join them\n")
        print("What the one sends, the other checks by the rules of the Matrix specification.")
        print("The numbers are those of its lists: https://spec.matrix.org/v1.19/rooms/")
        story = Story(demo, host, guest)
        await story.public_room()
        await story.large_room()
        await story.restricted_room()
        await story.closed_rooms()
        await story.foreign_room()
    surprises = len(demo.surprises)
    print(f"\n{f'{surprises} surprises.' if surprises else 'Everything turned out as told.'}")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
