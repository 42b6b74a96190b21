"""State resolution: which state a room has where its history forks.

`resolve` takes the states at the ends of the branches and gives the state of the room. It
uses the algorithm of the version: 1 for room version 1, 2 for versions 2 to 11, 2.1 for
version 12.
"""

from __future__ import annotations

from matrix_membership.resolution._chains import ChainIndex
from matrix_membership.resolution._changes import resets_in
from matrix_membership.resolution._gathering import AwaitingEvents, begin
from matrix_membership.resolution._records import Outcome as Outcome
from matrix_membership.resolution._records import Stage as Stage
from matrix_membership.resolution._repairs import Repair as Repair
from matrix_membership.resolution._resets import Reset as Reset
from matrix_membership.resolution._resets import resets
from matrix_membership.resolution._resolving import Resolution as Resolution
from matrix_membership.resolution._resolving import resolve
from matrix_membership.resolution._resolving import state_after as state_after
from matrix_membership.resolution._story import Dispute as Dispute

__all__ = ["AwaitingEvents", "ChainIndex", "begin", "resets", "resets_in", "resolve"]
