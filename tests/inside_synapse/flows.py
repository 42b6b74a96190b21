"""The flows: what users of two servers do in a room, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from matrix_membership import KNOWN, V12
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import sign_json
from tests.builders import IDENTITY
from tests.inside_synapse.play import Flow, Play
from tests.interop.client_api import SynapseUser

__all__ = ["FLOWS"]

Run = Callable[[Play], None]

FLOWS: Final[list[Flow]] = []


def flow(having: Callable[[RoomVersion], bool] = lambda _: True) -> Callable[[Run], Run]:
    """List a function as a flow of the versions for which something holds."""

    def listed(run: Run) -> Run:
        versions = tuple(name for name, version in KNOWN.items() if having(version))
        FLOWS.append(Flow(run.__name__.replace("_", " "), run, versions))
        return run

    return listed


# ------------------------------------------------------------------ creating


@flow()
def creates_rooms_of_each_preset(play: Play) -> None:
    for preset in ("private_chat", "public_chat", "trusted_private_chat"):
        room_id = play.room(preset=preset, name="a room", topic="of tests")
        play.agreed(room_id, play.pair.ana)


@flow()
def creates_a_room_with_guests_of_honour(play: Play) -> None:
    invited = [play.pair.ben.user_id, play.pair.dan.user_id]
    room_id = play.room(preset="trusted_private_chat", invite=invited, is_direct=True)
    play.join(play.pair.ben, room_id)
    play.sees(play.pair.dan, room_id, "invite")
    play.join(play.pair.dan, room_id)
    play.agreed(room_id)
    play.set(play.pair.dan, room_id, "m.room.topic", {"topic": "all are equal"})
    play.agreed(room_id)


@flow()
def creates_a_room_for_one_server(play: Play) -> None:
    room_id = play.room(creation_content={"m.federate": False})
    play.join(play.pair.ben, room_id)
    play.join(play.pair.dan, room_id)
    play.act(play.pair.ana, "invite", play.pair.eve, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def creates_a_room_with_levels_of_its_own(play: Play) -> None:
    levels = {"events_default": 10, "invite": 50, "users_default": 5, "state_default": 20}
    room_id = play.room(levels=levels)
    play.join(play.pair.ben, room_id)
    play.say(play.pair.ben, room_id)
    play.act(play.pair.ben, "invite", play.pair.dan, room_id)
    play.join(play.pair.dan, room_id)
    play.say(play.pair.dan, room_id)
    play.agreed(room_id)


@flow(lambda version: version.privileged_creators)
def creates_a_room_of_two_creators(play: Play) -> None:
    room_id = play.room(creation_content={"additional_creators": [play.pair.dan.user_id]})
    play.join(play.pair.dan, room_id)
    play.set(play.pair.dan, room_id, "m.room.name", {"name": "of both"})
    play.act(play.pair.dan, "kick", play.pair.ana, room_id)
    play.act(play.pair.ana, "ban", play.pair.dan, room_id)
    play.agreed(room_id)


@flow(lambda version: version.privileged_creators)
def lists_a_creator_among_the_users(play: Play) -> None:
    room_id = play.room()
    play.empower(play.pair.ana, room_id, 100)
    play.room(levels={"users": {play.pair.ana.user_id: 100}})
    play.room(creation_content={"additional_creators": ["nobody"]})


# ------------------------------------------------------------------ joining


@flow()
def joins_a_public_room(play: Play) -> None:
    room_id = play.room()
    for user in (play.pair.ben, play.pair.dan, play.pair.eve):
        play.join(user, room_id)
    play.agreed(room_id)
    for user in (play.pair.ben, play.pair.dan):
        play.say(user, room_id)


@flow()
def joins_twice(play: Play) -> None:
    room_id = play.room()
    for _ in range(2):
        play.join(play.pair.dan, room_id)
        play.join(play.pair.ben, room_id)
    play.agreed(room_id)


@flow()
def joins_a_private_room_in_vain(play: Play) -> None:
    room_id = play.room(preset="private_chat")
    play.join(play.pair.ben, room_id)
    play.join(play.pair.dan, room_id)
    play.say(play.pair.ben, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def joins_again_after_leaving(play: Play) -> None:
    room_id = play.room()
    for user in (play.pair.dan, play.pair.ben):
        play.join(user, room_id)
        play.knows(play.pair.ana, room_id, user, "join")
        play.leave(user, room_id)
        play.knows(play.pair.ana, room_id, user, "leave")
        play.join(user, room_id)
    play.agreed(room_id)


@flow()
def joins_a_room_of_an_unknown_join_rule(play: Play) -> None:
    room_id = play.room(join_rule="dance")
    play.join(play.pair.ben, room_id)
    play.join(play.pair.dan, room_id)
    play.act(play.pair.ana, "invite", play.pair.ben, room_id)
    play.join(play.pair.ben, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def joins_by_an_event_of_state(play: Play) -> None:
    room_id = play.room()
    ben = play.pair.ben.user_id
    play.set(play.pair.ben, room_id, "m.room.member", {"membership": "join"}, ben)
    named = {"membership": "join", "displayname": "Ben"}
    play.set(play.pair.ben, room_id, "m.room.member", named, ben)
    play.set(play.pair.ben, room_id, "m.room.member", {"membership": "join"}, play.pair.cay.user_id)
    play.set(play.pair.ben, room_id, "m.room.member", {"membership": "lurk"}, ben)
    play.agreed(room_id, play.pair.ana)


@flow()
def writes_before_all_members_are_known(play: Play) -> None:
    """The answer to the join left members out: the state is partial when this begins."""
    room_id = play.room()
    for user in (play.pair.ben, play.pair.cay):
        play.join(user, room_id)
    play.join(play.pair.dan, room_id)
    play.say(play.pair.dan, room_id)
    play.set(play.pair.dan, room_id, "m.room.topic", {"topic": "too early"})
    play.act(play.pair.dan, "kick", play.pair.cay, room_id)
    play.act(play.pair.dan, "invite", play.pair.eve, room_id)
    play.join(play.pair.eve, room_id)
    play.agreed(room_id)


@flow()
def lives_in_a_room_before_all_members_are_known(play: Play) -> None:
    """The state stays partial there, while events come from here and go back."""
    room_id = play.room()
    ana, ben, cay, dan, eve = play.pair.users.values()
    for user in (ben, cay):
        play.join(user, room_id)
    with play.held_back():
        play.join(dan, room_id)
        play.waits_for_members(dan, room_id)
        play.empower(dan, room_id, 50)
        play.act(ana, "ban", cay, room_id)
        play.leave(ben, room_id)
        play.set(ana, room_id, "m.room.topic", {"topic": "all has come"})
        play.shows(dan, room_id, "m.room.topic", {"topic": "all has come"})
        play.say(dan, room_id)
        play.set(dan, room_id, "m.room.name", {"name": "of a moderator"})
        play.act(dan, "invite", cay, room_id)
        play.act(dan, "kick", ana, room_id)
        play.act(dan, "unban", cay, room_id)
        play.set(dan, room_id, "m.room.topic", {"topic": "from there"})
        play.shows(ana, room_id, "m.room.topic", {"topic": "from there"})
        play.join(cay, room_id)
        play.join(eve, room_id)
        play.act(ana, "kick", dan, room_id)
        play.set(ana, room_id, "m.room.topic", {"topic": "without dan"})
        play.say(eve, room_id)
        play.waits_for_members(eve, room_id)
    play.agreed(room_id)
    play.say(dan, room_id)
    play.act(eve, "invite", dan, room_id)
    play.join(dan, room_id)
    play.act(dan, "ban", cay, room_id)
    play.agreed(room_id)


# ------------------------------------------------------------------ invites


@flow()
def is_invited_and_joins(play: Play) -> None:
    room_id = play.room(preset="private_chat")
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "invite", user, room_id)
        play.sees(user, room_id, "invite")
        play.join(user, room_id)
    play.agreed(room_id)


@flow()
def is_invited_and_rejects(play: Play) -> None:
    room_id = play.room(preset="private_chat")
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "invite", user, room_id)
        play.sees(user, room_id, "invite")
        play.leave(user, room_id)
        play.knows(play.pair.ana, room_id, user, "leave")
        play.join(user, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def is_invited_in_vain(play: Play) -> None:
    room_id = play.room(preset="private_chat")
    play.act(play.pair.ana, "invite", play.pair.ben, room_id)
    play.act(play.pair.ana, "kick", play.pair.ben, room_id)
    play.join(play.pair.ben, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def is_invited_twice(play: Play) -> None:
    room_id = play.room(preset="private_chat")
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "invite", user, room_id)
        play.act(play.pair.ana, "invite", user, room_id)
        play.join(user, room_id)
        play.act(play.pair.ana, "invite", user, room_id)
    play.agreed(room_id)


@flow()
def invites_without_the_level(play: Play) -> None:
    room_id = play.room(preset="private_chat", levels={"invite": 60})
    play.act(play.pair.ana, "invite", play.pair.ben, room_id)
    play.join(play.pair.ben, room_id)
    play.act(play.pair.ben, "invite", play.pair.cay, room_id)
    play.act(play.pair.ben, "invite", play.pair.dan, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def invites_from_outside(play: Play) -> None:
    room_id = play.room()
    play.act(play.pair.ben, "invite", play.pair.cay, room_id)
    play.act(play.pair.ana, "invite", play.pair.ben, room_id)
    play.act(play.pair.ben, "invite", play.pair.cay, room_id)
    play.act(play.pair.ben, "kick", play.pair.ana, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def invites_who_is_banned(play: Play) -> None:
    room_id = play.room()
    play.act(play.pair.ana, "ban", play.pair.ben, room_id)
    play.act(play.pair.ana, "ban", play.pair.dan, room_id)
    play.act(play.pair.ana, "invite", play.pair.ben, room_id)
    play.act(play.pair.ana, "invite", play.pair.dan, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def is_invited_by_a_guest(play: Play) -> None:
    """Dan, who came from another server, invites users of both."""
    room_id = play.room(preset="private_chat")
    play.act(play.pair.ana, "invite", play.pair.dan, room_id)
    play.join(play.pair.dan, room_id)
    for user in (play.pair.eve, play.pair.ben):
        play.act(play.pair.dan, "invite", user, room_id)
        play.sees(user, room_id, "invite")
        play.join(user, room_id)
    play.agreed(room_id)


# ------------------------------------------------------------------ knocks


def knocking(version: RoomVersion) -> bool:
    return version.knocking


@flow(knocking)
def knocks_and_is_let_in(play: Play) -> None:
    room_id = play.room(join_rule="knock")
    for user in (play.pair.ben, play.pair.dan):
        play.knock(user, room_id)
        play.act(play.pair.ana, "invite", user, room_id)
        play.sees(user, room_id, "invite")
        play.join(user, room_id)
    play.agreed(room_id)


@flow(knocking)
def knocks_and_is_turned_away(play: Play) -> None:
    room_id = play.room(join_rule="knock")
    for user in (play.pair.ben, play.pair.dan):
        play.knock(user, room_id)
        play.act(play.pair.ana, "kick", user, room_id)
    play.join(play.pair.ben, room_id)
    play.agreed(room_id, play.pair.ana)


@flow(knocking)
def knocks_and_takes_it_back(play: Play) -> None:
    room_id = play.room(join_rule="knock")
    play.knock(play.pair.ben, room_id)
    play.knock(play.pair.ben, room_id)
    play.leave(play.pair.ben, room_id)
    play.knock(play.pair.dan, room_id)
    play.leave(play.pair.dan, room_id)
    play.join(play.pair.ben, room_id)


@flow()
def knocks_where_nobody_can(play: Play) -> None:
    for rule in ("public", "invite"):
        room_id = play.room(join_rule=rule)
        play.knock(play.pair.ben, room_id)
        play.knock(play.pair.dan, room_id)
        play.agreed(room_id, play.pair.ana)


@flow(knocking)
def knocks_while_banned_invited_or_joined(play: Play) -> None:
    room_id = play.room(join_rule="knock")
    play.act(play.pair.ana, "ban", play.pair.ben, room_id)
    play.knock(play.pair.ben, room_id)
    play.act(play.pair.ana, "ban", play.pair.dan, room_id)
    play.knock(play.pair.dan, room_id)
    play.act(play.pair.ana, "invite", play.pair.cay, room_id)
    play.knock(play.pair.cay, room_id)
    play.join(play.pair.cay, room_id)
    play.knock(play.pair.cay, room_id)
    play.agreed(room_id, play.pair.ana)


# ------------------------------------------------------------------ restricted rooms


def restricted(version: RoomVersion) -> bool:
    return version.restricted_joins


def knock_restricted(version: RoomVersion) -> bool:
    return version.auth_rules >= 10


def the_space(play: Play) -> str:
    """A room whose members, ben and dan, other rooms let in."""
    space = play.room()
    play.join(play.pair.ben, space)
    play.join(play.pair.dan, space)
    play.agreed(space)
    return space


@flow(restricted)
def joins_by_another_room(play: Play) -> None:
    room_id = play.room(join_rule=play.restricted_to(the_space(play)))
    for user in (play.pair.ben, play.pair.dan, play.pair.cay, play.pair.eve):
        play.join(user, room_id)
    play.agreed(room_id)


@flow(restricted)
def joins_a_restricted_room_by_invite(play: Play) -> None:
    room_id = play.room(join_rule=play.restricted_to(the_space(play)))
    for user in (play.pair.cay, play.pair.eve):
        play.act(play.pair.ana, "invite", user, room_id)
        play.sees(user, room_id, "invite")
        play.join(user, room_id)
    play.agreed(room_id, play.pair.ana, play.pair.eve)


@flow(restricted)
def joins_where_nobody_can_authorise(play: Play) -> None:
    """Ana, the only one who could, has left."""
    space = the_space(play)
    room_id = play.room(join_rule=play.restricted_to(space), levels={"invite": 50})
    play.join(play.pair.ben, room_id)
    play.leave(play.pair.ana, room_id)
    play.join(play.pair.dan, room_id)
    play.act(play.pair.ben, "invite", play.pair.cay, room_id)
    play.agreed(room_id, play.pair.ben)


@flow(restricted)
def joins_a_restricted_room_while_banned(play: Play) -> None:
    room_id = play.room(join_rule=play.restricted_to(the_space(play)))
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "ban", user, room_id)
        play.join(user, room_id)
    play.agreed(room_id, play.pair.ana)


@flow(restricted)
def joins_a_restricted_room_again(play: Play) -> None:
    space = the_space(play)
    room_id = play.room(join_rule=play.restricted_to(space))
    play.join(play.pair.dan, room_id)
    play.knows(play.pair.ana, room_id, play.pair.dan, "join")
    play.leave(play.pair.dan, room_id)
    play.knows(play.pair.ana, room_id, play.pair.dan, "leave")
    play.leave(play.pair.dan, space)
    play.knows(play.pair.ana, space, play.pair.dan, "leave")
    play.agreed(space, play.pair.ana, play.pair.ben)
    play.join(play.pair.ben, room_id)
    play.join(play.pair.ben, room_id)
    play.agreed(room_id, play.pair.ana)


@flow(knock_restricted)
def joins_or_knocks(play: Play) -> None:
    rule = play.restricted_to(the_space(play), "knock_restricted")
    room_id = play.room(join_rule=rule)
    play.join(play.pair.ben, room_id)
    play.join(play.pair.dan, room_id)
    play.knock(play.pair.cay, room_id)
    play.knock(play.pair.eve, room_id)
    play.act(play.pair.ana, "invite", play.pair.eve, room_id)
    play.sees(play.pair.eve, room_id, "invite")
    play.join(play.pair.eve, room_id)
    play.join(play.pair.cay, room_id)
    play.agreed(room_id)


@flow(lambda version: not restricted(version))
def sets_a_join_rule_of_later_versions(play: Play) -> None:
    space = play.room()
    for rule in ("restricted", "knock_restricted", "knock"):
        room_id = play.room(join_rule=play.restricted_to(space, rule))
        play.join(play.pair.ben, room_id)
        play.knock(play.pair.ben, room_id)


# ------------------------------------------------------------------ kicks and bans


def populated(play: Play, **more: Any) -> str:
    """A public room of all users; eve only watches, so that both servers stay in it."""
    room_id = play.room(**more)
    for user in (play.pair.ben, play.pair.cay, play.pair.dan, play.pair.eve):
        play.join(user, room_id)
    play.agreed(room_id)
    return room_id


@flow()
def kicks_and_is_joined_again(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "kick", user, room_id)
        play.act(play.pair.ana, "kick", user, room_id)
        play.agreed(room_id)
        play.say(user, room_id)
        play.join(user, room_id)
        play.agreed(room_id)


@flow()
def kicks_without_the_level(play: Play) -> None:
    room_id = populated(play)
    play.act(play.pair.ben, "kick", play.pair.cay, room_id)
    play.act(play.pair.dan, "kick", play.pair.cay, room_id)
    play.empower(play.pair.ben, room_id, 50)
    play.empower(play.pair.dan, room_id, 50)
    play.agreed(room_id)
    play.act(play.pair.ben, "kick", play.pair.dan, room_id)
    play.act(play.pair.dan, "kick", play.pair.ana, room_id)
    play.act(play.pair.dan, "kick", play.pair.cay, room_id)
    play.agreed(room_id)


@flow()
def bans_and_forgives(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "ban", user, room_id)
        play.act(play.pair.ana, "ban", user, room_id)
        play.agreed(room_id)
        play.join(user, room_id)
        play.act(play.pair.ana, "kick", user, room_id)
        play.act(play.pair.ana, "unban", user, room_id)
        play.agreed(room_id)
        play.join(user, room_id)
    play.agreed(room_id)


@flow()
def bans_without_the_level(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ben, play.pair.dan):
        play.act(user, "ban", play.pair.cay, room_id)
        play.act(user, "ban", play.pair.ana, room_id)
        play.act(user, "unban", play.pair.cay, room_id)
    play.agreed(room_id)


@flow()
def unbans_without_the_level(play: Play) -> None:
    room_id = populated(play)
    play.act(play.pair.ana, "ban", play.pair.cay, room_id)
    play.agreed(room_id)
    for user in (play.pair.ben, play.pair.dan):
        play.act(user, "unban", play.pair.cay, room_id)
    play.act(play.pair.ana, "unban", play.pair.cay, room_id)
    play.act(play.pair.ana, "unban", play.pair.cay, room_id)
    play.agreed(room_id)


@flow()
def bans_who_was_never_there(play: Play) -> None:
    room_id = play.room()
    play.join(play.pair.eve, room_id)
    for user in (play.pair.ben, play.pair.dan):
        play.act(play.pair.ana, "ban", user, room_id)
        play.agreed(room_id)
        play.join(user, room_id)
        play.act(play.pair.ana, "unban", user, room_id)
        play.agreed(room_id)
        play.join(user, room_id)
    play.agreed(room_id)


@flow()
def bans_a_moderator(play: Play) -> None:
    room_id = populated(play)
    play.empower(play.pair.dan, room_id, 60)
    play.empower(play.pair.ben, room_id, 50)
    play.agreed(room_id)
    play.act(play.pair.dan, "ban", play.pair.ben, room_id)
    play.agreed(room_id)
    play.act(play.pair.ben, "ban", play.pair.dan, room_id)
    play.act(play.pair.dan, "unban", play.pair.ben, room_id)
    play.agreed(room_id)


# ------------------------------------------------------------------ leaving


@flow()
def leaves(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ben, play.pair.dan):
        play.leave(user, room_id)
        play.leave(user, room_id)
    play.say(play.pair.ben, room_id)
    play.agreed(room_id)


@flow()
def leaves_where_nobody_is_left(play: Play) -> None:
    room_id = play.room()
    play.leave(play.pair.ben, room_id)
    play.leave(play.pair.ana, room_id)
    play.join(play.pair.ben, room_id)
    play.join(play.pair.dan, room_id)


@flow()
def forgets(play: Play) -> None:
    room_id = populated(play)
    path = f"rooms/{room_id}/forget"
    play.ask(play.pair.ben, "POST", path, {}, what="forgets")
    play.leave(play.pair.ben, room_id)
    play.ask(play.pair.ben, "POST", path, {}, what="forgets")
    play.join(play.pair.ben, room_id)
    play.agreed(room_id)


# ------------------------------------------------------------------ power


@flow()
def promotes_and_demotes(play: Play) -> None:
    room_id = populated(play)
    play.empower(play.pair.dan, room_id, 50)
    play.agreed(room_id)
    play.set(play.pair.dan, room_id, "m.room.topic", {"topic": "of a moderator"})
    play.empower(play.pair.dan, room_id, 0)
    play.agreed(room_id)
    play.set(play.pair.dan, room_id, "m.room.topic", {"topic": "of nobody"})
    play.agreed(room_id)


def changes(play: Play, user: SynapseUser, room_id: str, **levels: Any) -> None:
    """A user changes some levels."""
    play.set(user, room_id, "m.room.power_levels", play.levels(room_id, **levels))


@flow()
def sets_levels_above_the_own(play: Play) -> None:
    room_id = populated(play, levels={"events": {"m.room.power_levels": 50}})
    ben, dan = play.pair.ben, play.pair.dan
    for user in (ben, dan):
        play.empower(user, room_id, 50)
    play.agreed(room_id)
    for user in (ben, dan):
        changes(play, user, room_id, users={play.pair.cay.user_id: 51})
        changes(play, user, room_id, users={play.pair.cay.user_id: 50})
        changes(play, user, room_id, ban=51)
        changes(play, user, room_id, kick=49)
        changes(play, user, room_id, events={"m.room.power_levels": 50, "m.room.name": 60})
        play.agreed(room_id)
    changes(play, ben, room_id, users={dan.user_id: 0})
    changes(play, ben, room_id, users={ben.user_id: 10})
    changes(play, ben, room_id, users={ben.user_id: 50})
    play.agreed(room_id)


@flow()
def leaves_out_levels(play: Play) -> None:
    """Levels that were there go, and come back: the absent side counts as its default."""
    room_id = populated(play, levels={"events": {"m.room.power_levels": 0}})
    bare = {"users": {}, "events": {"m.room.power_levels": 0}}
    if play.version != V12.identifier:
        bare["users"] = {play.pair.ana.user_id: 100}
    play.set(play.pair.ana, room_id, "m.room.power_levels", bare)
    play.agreed(room_id)
    for level in (0, 50, 40):
        play.set(play.pair.ben, room_id, "m.room.power_levels", {**bare, "ban": level})
        play.set(play.pair.dan, room_id, "m.room.power_levels", {**bare, "redact": level})
    play.agreed(room_id)


@flow()
def writes_levels_oddly(play: Play) -> None:
    room_id = play.room()
    odd: list[Any] = ["50", " 50 ", 50.5, None, True, {}, 2**53]
    for level in odd:
        changes(play, play.pair.ana, room_id, ban=level)
        changes(play, play.pair.ana, room_id, users={play.pair.ben.user_id: level})
    changes(play, play.pair.ana, room_id, users={"ben": 5})
    changes(play, play.pair.ana, room_id, events=[])


@flow()
def is_muted(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ben, play.pair.dan):
        play.empower(user, room_id, -1)
    play.agreed(room_id)
    for user in (play.pair.ben, play.pair.dan):
        play.say(user, room_id)
        play.say(user, room_id, "m.reaction")


@flow()
def sends_state_of_all_kinds(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ana, play.pair.ben, play.pair.dan):
        for kind in ("m.room.name", "m.room.history_visibility", "m.room.tombstone", "org.own"):
            content = {"history_visibility": "shared", "name": "x", "replacement_room": "!x:y"}
            play.set(user, room_id, kind, content)
        play.set(user, room_id, "org.own", {}, user.user_id)
        play.set(user, room_id, "org.own", {}, play.pair.cay.user_id)
        play.set(user, room_id, "org.own", {}, "@nobody")
    play.agreed(room_id)


@flow()
def lets_everybody_set_state(play: Play) -> None:
    room_id = populated(play, levels={"state_default": 0, "events": {"m.room.name": 100}})
    for user in (play.pair.ben, play.pair.dan):
        play.set(user, room_id, "m.room.topic", {"topic": "mine"})
        play.set(user, room_id, "m.room.name", {"name": "mine"})
        play.set(user, room_id, "org.own", {}, user.user_id)
        play.set(user, room_id, "org.own", {}, play.pair.cay.user_id)
        play.set(user, room_id, "m.room.create", {"room_version": play.version})
        play.agreed(room_id)


@flow()
def gives_the_room_away(play: Play) -> None:
    room_id = populated(play)
    play.empower(play.pair.dan, room_id, 100)
    play.agreed(room_id)
    play.empower(play.pair.ana, room_id, 0)
    play.agreed(room_id)
    play.act(play.pair.dan, "kick", play.pair.ana, room_id)
    play.agreed(room_id, play.pair.ben, play.pair.dan)


# ------------------------------------------------------------------ redaction


@flow()
def redacts(play: Play) -> None:
    room_id = populated(play)
    of_ben, of_dan = play.say(play.pair.ben, room_id), play.say(play.pair.dan, room_id)
    play.redact(play.pair.ben, room_id, of_ben)
    play.redact(play.pair.dan, room_id, of_dan)
    play.agreed(room_id)


@flow()
def redacts_what_others_wrote(play: Play) -> None:
    room_id = populated(play)
    of_ben, of_dan = play.say(play.pair.ben, room_id), play.say(play.pair.dan, room_id)
    play.redact(play.pair.cay, room_id, of_ben)
    play.redact(play.pair.dan, room_id, play.say(play.pair.dan, room_id))
    play.redact(play.pair.ana, room_id, of_ben)
    play.redact(play.pair.ana, room_id, "$nothing")
    play.empower(play.pair.dan, room_id, 50)
    play.agreed(room_id)
    play.redact(play.pair.dan, room_id, of_dan)
    play.agreed(room_id)


@flow()
def redacts_a_membership(play: Play) -> None:
    room_id = populated(play)
    event_id = play.set(play.pair.ana, room_id, "m.room.topic", {"topic": "gone"})
    play.redact(play.pair.ana, room_id, event_id or "")
    named = {"membership": "join", "displayname": "Ana B."}
    member = play.set(play.pair.ana, room_id, "m.room.member", named, play.pair.ana.user_id)
    play.redact(play.pair.ana, room_id, member or "")
    play.agreed(room_id)


# ------------------------------------------------------------------ upgrades


@flow()
def upgrades(play: Play) -> None:
    room_id = populated(play)
    path, body = f"rooms/{room_id}/upgrade", {"new_version": play.version}
    play.ask(play.pair.ben, "POST", path, body, what="upgrades")
    answer = play.ask(play.pair.ana, "POST", path, body, what="upgrades")
    new = answer.get("replacement_room", "")
    play.join(play.pair.dan, new)
    play.join(play.pair.ben, new)
    play.agreed(new)
    play.say(play.pair.ben, room_id)


@flow()
def upgrades_to_the_newest_version(play: Play) -> None:
    room_id = populated(play)
    path, body = f"rooms/{room_id}/upgrade", {"new_version": V12.identifier}
    new = play.ask(play.pair.ana, "POST", path, body, what="upgrades").get("replacement_room", "")
    play.join(play.pair.dan, new)
    play.agreed(new)


# ------------------------------------------------------------------ third-party invites


def signed_for(user: SynapseUser, sender: SynapseUser, token: str) -> Any:
    """The object that an identity server signs when a user proves an address."""
    named = {"mxid": user.user_id, "sender": sender.user_id, "token": token}
    return json.loads(json.dumps(sign_json(named, IDENTITY)))


@flow()
def is_invited_by_address(play: Play) -> None:
    room_id = play.room(preset="private_chat")
    stored = {
        "display_name": "b...",
        "public_key": IDENTITY.verify_key,
        "public_keys": [{"public_key": IDENTITY.verify_key}],
    }
    play.set(play.pair.ana, room_id, "m.room.third_party_invite", stored, "tok")
    wrong = signed_for(play.pair.cay, play.pair.ana, "other")
    play.join(play.pair.cay, room_id, third_party_signed=wrong)
    right = signed_for(play.pair.ben, play.pair.ana, "tok")
    play.join(play.pair.cay, room_id, third_party_signed=right)
    play.join(play.pair.ben, room_id, third_party_signed=right)
    play.agreed(room_id, play.pair.ana)


@flow()
def stores_an_invite_by_address_without_the_level(play: Play) -> None:
    room_id = populated(play, levels={"invite": 50})
    stored = {"display_name": "b...", "public_key": IDENTITY.verify_key}
    for user in (play.pair.ben, play.pair.dan, play.pair.ana):
        play.set(user, room_id, "m.room.third_party_invite", stored, "tok")
    play.agreed(room_id)


# ------------------------------------------------------------------ and more


@flow()
def names_a_room(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ana, play.pair.ben):
        alias = f"#{abs(hash((room_id, user.user_id)))}:{play.via}"
        path = f"directory/room/{alias.replace('#', '%23')}"
        play.ask(user, "PUT", path, {"room_id": room_id}, what="names it")
        play.set(user, room_id, "m.room.canonical_alias", {"alias": alias})
        play.set(user, room_id, "m.room.aliases", {"aliases": [alias]}, play.via)
    play.agreed(room_id)


@flow()
def shuts_a_server_out(play: Play) -> None:
    room_id = populated(play)
    deny = {"allow": ["*"], "deny": [play.pair.dan.user_id.partition(":")[2]]}
    play.set(play.pair.ben, room_id, "m.room.server_acl", deny)
    play.set(play.pair.ana, room_id, "m.room.server_acl", deny)
    play.join(play.pair.eve, room_id)
    play.agreed(room_id, play.pair.ana)


@flow()
def changes_its_name(play: Play) -> None:
    room_id = populated(play)
    for user in (play.pair.ben, play.pair.dan):
        named = {"membership": "join", "displayname": "of this room"}
        play.set(user, room_id, "m.room.member", named, user.user_id)
    play.agreed(room_id)


@flow()
def talks_across_servers(play: Play) -> None:
    room_id = populated(play)
    for _ in range(3):
        for user in (play.pair.ana, play.pair.dan, play.pair.ben):
            play.say(user, room_id)
            play.set(user, room_id, "org.own", {}, user.user_id)
    play.agreed(room_id)
