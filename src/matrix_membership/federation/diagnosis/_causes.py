"""The causes of a failure: the side at fault, and the remedies of each side."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from matrix_membership._attrs import Word


class Side(Word):
    """The side that is at fault."""

    ASKING = "the asking server"
    ANSWERING = "the answering server"
    NOBODY = "nobody"
    UNKNOWN = "unknown"


class Help(Word):
    """The answer to the question if another server of the room would help."""

    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


ASKING, ANSWERING, NOBODY, UNKNOWN = Side
YES, NO, PERHAPS = Help


class Cause(NamedTuple):
    """The consequences of a cause.

    Attributes:
        fault: the side at fault, unless the case tells more.
        another: whether asking another server would help.
        asking: the remedy of the asking server or its administrator; empty for none.
        answering: the remedy of the answering server; empty for none.
    """

    fault: Side
    another: Help
    asking: str = ""
    answering: str = ""


_REPAIR_ANSWER: Final = (
    "find out why the server stored or sent this, and repair its copy of the room"
)
_OTHER_SERVER: Final = "ask another server that is in the room"
_FIX_EVENT: Final = "make and sign the event again, from the template as it came"
_ANOTHER_COPY: Final = Cause(ANSWERING, YES, _OTHER_SERVER, _REPAIR_ANSWER)
_ODD_BUT_ALLOWED: Final = Cause(
    UNKNOWN, NO, "nothing has to be done: state resolution and earlier redactions can do this"
)

CAUSES: Final[Mapping[str, Cause]] = MappingProxyType(
    {
        # ------------------------------------------------ no answer, or an error
        "unreachable": Cause(
            UNKNOWN,
            YES,
            "check name, delegation (/.well-known/matrix/server), TLS and firewall of the other server",
            "check from outside that the federation port answers",
        ),
        "server_failed": Cause(
            ANSWERING,
            YES,
            _OTHER_SERVER,
            "look for the failure in the log of the server or its proxy",
        ),
        "no_endpoint": Cause(
            ANSWERING,
            YES,
            _OTHER_SERVER,
            "let the proxy pass on /_matrix/federation, or update the server",
        ),
        "request_unsigned": Cause(
            UNKNOWN,
            NO,
            "check that the published keys are those that sign, and that the clock is right",
            "fetch the keys of the asking server anew",
        ),
        "room_unknown": Cause(
            UNKNOWN, YES, _OTHER_SERVER, "check whether a user of the server is joined to the room"
        ),
        "not_own_user": Cause(ASKING, NO, "ask for users of the own server only"),
        "request_malformed": Cause(ASKING, NO, "correct the request"),
        "wrong_endpoint": Cause(ASKING, NO, "send the invite to version 2 of the endpoint"),
        "version_not_offered": Cause(
            ASKING,
            NO,
            "update the server to one that supports the room version, and offer it as `ver`",
        ),
        "version_unsupported": Cause(
            ANSWERING, NO, "", "update the server to one that supports the room version"
        ),
        "version_refused": Cause(
            ANSWERING,
            YES,
            _OTHER_SERVER,
            "compare `ver` of the request with the version of the room",
        ),
        "rules_forbid": Cause(NOBODY, NO),
        "server_acl": Cause(
            NOBODY,
            NO,
            "ask the moderators to change m.room.server_acl",
            "",
        ),
        "forbidden": Cause(
            UNKNOWN, PERHAPS, "find out the state of the room, and diagnose again with it"
        ),
        "judged_differently": Cause(
            ANSWERING,
            PERHAPS,
            "ask a server of another implementation",
            "judge by the specification",
        ),
        "cannot_authorise": Cause(
            NOBODY,
            YES,
            "ask a server that is in the rooms whose members may join",
            "join one of the rooms whose members may join",
        ),
        "cannot_grant": Cause(
            NOBODY,
            YES,
            "ask a server with a joined user who may invite",
            "have a user with the invite level join",
        ),
        "grant_refused": Cause(
            ANSWERING,
            YES,
            _OTHER_SERVER,
            "compare the members and levels of the room with this state",
        ),
        "rate_limited": Cause(NOBODY, NO, "wait as long as the answer says, then ask again"),
        "invite_blocked": Cause(NOBODY, NO, "", "the invited user can allow the sender"),
        "refused": Cause(UNKNOWN, PERHAPS, "ask the administrator of the other server for its log"),
        # ------------------------------------------------ the template
        "malformed_answer": Cause(
            ANSWERING, YES, _OTHER_SERVER, "answer in the form that the specification gives"
        ),
        "bad_template": Cause(
            ANSWERING,
            YES,
            _OTHER_SERVER,
            "give a template for what was asked, and for nothing else",
        ),
        # ------------------------------------------------ the event that was sent
        "malformed_event": Cause(ASKING, NO, _FIX_EVENT),
        "wrong_event": Cause(ASKING, NO, _FIX_EVENT),
        "event_unsigned": Cause(
            ASKING, NO, "sign with a key that the server publishes, valid when the event is made"
        ),
        "event_altered": Cause(ASKING, NO, "change nothing in the event after it was hashed"),
        "other_references": Cause(ASKING, NO, _FIX_EVENT),
        "authoriser_left_out": Cause(
            ASKING, NO, "keep join_authorised_via_users_server of the template"
        ),
        "wrong_destination": Cause(
            ASKING, NO, "send the join to the server of the authorising user"
        ),
        # ------------------------------------------------ the answer to a join
        "join_unsigned": Cause(ASKING, NO, _FIX_EVENT),
        "join_rejected": Cause(
            ANSWERING,
            NO,
            "leave the room: other servers reject this join",
            "refuse what the rules forbid",
        ),
        "not_countersigned": Cause(
            ANSWERING, YES, _OTHER_SERVER, "sign the joins that it authorises"
        ),
        **dict.fromkeys(
            (
                "altered_join",
                "bad_copy",
                "bad_hash",
                "bad_signature",
                "circle",
                "malformed",
                "members_omitted_unasked",
                "missing_auth_event",
                "no_create_event",
                "no_servers_in_room",
                "no_state",
                "other_room",
                "other_room_version",
                "rejected",
                "same_id",
                "same_place",
                "server_untold",
                "two_create_events",
            ),
            _ANOTHER_COPY,
        ),
        **dict.fromkeys(
            ("absent_from_state", "after_join", "redacted_form", "replaced"), _ODD_BUT_ALLOWED
        ),
        "knock_state": Cause(
            ANSWERING, NO, "", "send the create event and the rest of the description as whole PDUs"
        ),
        # ------------------------------------------------ the answer to an invite
        "invite_altered": Cause(
            ANSWERING, NO, "", "sign the invite as it came, and change nothing"
        ),
        "invite_unsigned": Cause(ANSWERING, NO, "", "sign the invite with a published key"),
        "invite_state": Cause(
            ASKING, NO, "send the create event and the rest of invite_room_state as whole PDUs"
        ),
        # ------------------------------------------------ no failure that is known
        "unfinished": Cause(UNKNOWN, PERHAPS, "record the whole handshake, to its last answer"),
        "unreadable": Cause(UNKNOWN, PERHAPS, "diagnose again with what is missing"),
        "": Cause(NOBODY, NO),
    }
)
"""Every cause by its name. Those of an answer to a join are the codes of `audit.Defect`."""
