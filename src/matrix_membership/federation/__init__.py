"""Federation: the messages and handshakes of membership, from both sides.

- `JOINING`, `KNOCKING`, `LEAVING`: the handshakes of a server that is not in the room.
- `Attempts`: such a handshake with one server after another, and why it failed.
- `resident`: the answers of a server that is.
- `invites`: inviting a user of another server, from both sides.
- `third_party`: inviting by address.
- `policy_server`: asking a room's policy server for its signature.
- `audit`: what an answer to send_join is worth; `sufficiency`: whether one that was made
  is all that it has to be.
- `messages`, `invites.messages`: requests, answers and errors.
"""

from __future__ import annotations

from matrix_membership.federation import (
    audit,
    drafts,
    invites,
    messages,
    policy_server,
    resident,
    third_party,
)
from matrix_membership.federation.audit import (
    AnswerBudget,
    Audit,
    Defect,
    Examination,
    SendJoinReader,
    Severity,
    sufficiency,
)
from matrix_membership.federation.handshake import (
    JOINING,
    KNOCKING,
    LEAVING,
    STEPS,
    AwaitingAcceptance,
    AwaitingKeys,
    AwaitingTemplate,
    Handshake,
    HandshakeStep,
    Joined,
    Knocked,
    Left,
    Refused,
)
from matrix_membership.federation.handshake.attempts import Attempt, Attempts, End, Failed, Reply
from matrix_membership.federation.invites import Countersigned, Invited, Offered
from matrix_membership.federation.invites.messages import (
    ExchangeRequest,
    InviteRequest,
    InviteResponse,
    OnBindRequest,
    PendingInvite,
    StoredInvite,
)
from matrix_membership.federation.invites.policy import InvitePolicy, InviteVerdict
from matrix_membership.federation.messages import (
    MakeRequest,
    MakeResponse,
    MatrixError,
    Request,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
    SendRequest,
)
from matrix_membership.federation.resident import Accepted
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.federation.third_party import AwaitingValidity, KeyValidity

__all__ = [
    "JOINING",
    "KNOCKING",
    "LEAVING",
    "STEPS",
    "Accepted",
    "AnswerBudget",
    "Attempt",
    "Attempts",
    "Audit",
    "AwaitingAcceptance",
    "AwaitingKeys",
    "AwaitingTemplate",
    "AwaitingValidity",
    "Countersigned",
    "Defect",
    "End",
    "Examination",
    "ExchangeRequest",
    "Failed",
    "Handshake",
    "HandshakeStep",
    "InvitePolicy",
    "InviteRequest",
    "InviteResponse",
    "InviteVerdict",
    "Invited",
    "Joined",
    "KeyValidity",
    "Knocked",
    "Left",
    "MakeRequest",
    "MakeResponse",
    "MatrixError",
    "Offered",
    "OnBindRequest",
    "PendingInvite",
    "Refused",
    "Reply",
    "Request",
    "ResidentRoom",
    "SendJoinReader",
    "SendJoinResponse",
    "SendKnockResponse",
    "SendLeaveResponse",
    "SendRequest",
    "Severity",
    "StoredInvite",
    "audit",
    "drafts",
    "invites",
    "messages",
    "policy_server",
    "resident",
    "sufficiency",
    "third_party",
]
