"""Import here what a server needs to receive events, answer, and join.

`matrix_membership` gives versions, events, states and errors. This module gives the rest, so
that a server needs two import lines. Each name is explained where it is defined.

>>> from matrix_membership.server import JOINING, ResidentRoom, receive
>>> JOINING.make
'make_join'
"""

from __future__ import annotations

from matrix_membership.auth import select_auth_events
from matrix_membership.canonical_json import JsonObject, JsonValue, decode, encode, freeze
from matrix_membership.errors import InvalidKey, RemoteProtocolError
from matrix_membership.events import ReadPdu, read_pdu
from matrix_membership.fate import fate_of
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    Accepted,
    AnswerBudget,
    Attempts,
    AwaitingAcceptance,
    AwaitingKeys,
    Countersigned,
    End,
    ExchangeRequest,
    Failed,
    Handshake,
    HandshakeStep,
    InvitePolicy,
    InviteRequest,
    InviteResponse,
    InviteVerdict,
    Joined,
    KeyValidity,
    Knocked,
    Left,
    MakeRequest,
    MakeResponse,
    MatrixError,
    Offered,
    OnBindRequest,
    PendingInvite,
    Refused,
    Request,
    ResidentRoom,
    SendJoinReader,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
    SendRequest,
    StoredInvite,
    drafts,
    history,
    invites,
    resident,
    third_party,
)
from matrix_membership.federation.audit import examine
from matrix_membership.federation.invites.messages import key_ids_of
from matrix_membership.federation.messages import path_of
from matrix_membership.federation.policy_server import answer_sign
from matrix_membership.federation.spaces import answer_hierarchy, read_hierarchy
from matrix_membership.federation.transactions import Transaction, read_transaction
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.hashing import reference_hash
from matrix_membership.identifiers import (
    EventID,
    RoomID,
    ServerName,
    UserID,
    is_room_id,
    is_server_name,
    is_user_id,
    server_of,
)
from matrix_membership.machine import admit
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt import Disposition, Receipt, needed_places, receive, reevaluate
from matrix_membership.receipt.policy_list import PolicyList
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.receipt.redactions import effect_of
from matrix_membership.receipt.server_acl import permits
from matrix_membership.resolution import resolve
from matrix_membership.restricted import authorise, rooms_to_check
from matrix_membership.room_summary import hierarchy, may_learn_of, summarise
from matrix_membership.signing import PublishedKey, needed_keys, sign_json, verify, verify_json
from matrix_membership.state import Storage
from matrix_membership.visibility import client_timeline, list_members, readable_state

# Written out, without a star or a lazy import: editors and type checkers see every name, and a test
# bounds their number.
__all__ = [
    "JOINING",
    "KNOCKING",
    "LEAVING",
    "Accepted",
    "AnswerBudget",
    "Attempts",
    "Authorization",
    "AwaitingAcceptance",
    "AwaitingKeys",
    "Countersigned",
    "Disposition",
    "End",
    "EventID",
    "ExchangeRequest",
    "Failed",
    "Handshake",
    "HandshakeStep",
    "InvalidKey",
    "InvitePolicy",
    "InviteRequest",
    "InviteResponse",
    "InviteVerdict",
    "Joined",
    "JsonObject",
    "JsonValue",
    "KeyValidity",
    "Knocked",
    "Left",
    "MakeRequest",
    "MakeResponse",
    "MatrixError",
    "Offered",
    "OnBindRequest",
    "OutOfBand",
    "PendingInvite",
    "PolicyList",
    "PolicyServer",
    "PublishedKey",
    "ReadPdu",
    "Receipt",
    "Refused",
    "RemoteProtocolError",
    "Request",
    "ResidentRoom",
    "RoomID",
    "SendJoinReader",
    "SendJoinResponse",
    "SendKnockResponse",
    "SendLeaveResponse",
    "SendRequest",
    "ServerName",
    "Storage",
    "StoredInvite",
    "Transaction",
    "UserID",
    "admit",
    "answer_hierarchy",
    "answer_sign",
    "authorise",
    "client_timeline",
    "decode",
    "drafts",
    "effect_of",
    "encode",
    "examine",
    "fate_of",
    "freeze",
    "hierarchy",
    "history",
    "invites",
    "is_room_id",
    "is_server_name",
    "is_user_id",
    "key_ids_of",
    "list_members",
    "may_learn_of",
    "needed_keys",
    "needed_places",
    "path_of",
    "permits",
    "read_hierarchy",
    "read_pdu",
    "read_transaction",
    "readable_state",
    "receive",
    "reevaluate",
    "reference_hash",
    "resident",
    "resolve",
    "rooms_to_check",
    "select_auth_events",
    "server_of",
    "sign_json",
    "summarise",
    "third_party",
    "verify",
    "verify_json",
]
