"""The checks by this library inside a Synapse, by the module of the examples, of Synapse's own events."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

# Before the module of the examples: Synapse's handlers import each other in a circle, which only
# this order leaves.
import synapse.rest  # noqa: F401 - see above

import inside_synapse
from tests.bench_synapse.tasks import BOTH, INSIDE, KEPT, Task
from tests.bench_synapse.theirs import Anew, Store, finished, judging, listing, signed
from tests.bench_synapse.work import Question, Work


def tasks(work: Work) -> Iterator[tuple[str, Task]]:
    """All checks, by name."""
    for kind, sizes in work.questions.items():
        for users, question in sizes.items():
            event, listed = listing(question)
            signed(event, question)
            kept = partial(inside_synapse.check_state, event, listed)
            yield KEPT.format(kind=kind, users=users), judging(kept)
            for name, both in ((INSIDE, False), (BOTH, True)):
                yield name.format(kind=kind, users=users), judging(_anew(question, both=both))


def _anew(question: Question, *, both: bool) -> Anew:
    event, listed = listing(question)
    at_hand = {entry.event_id: entry for entry in listed}
    store = Store(at_hand)
    # Messages of a user, and joins of users who were never there, list the same events one after
    # the other. An event about a user who has a membership lists that, so no other event does.
    about = event.type == "m.room.member" and event.sender != event.state_key
    shared = not about or ("m.room.member", event.state_key) not in [
        (entry.type, entry.state_key) for entry in listed
    ]

    def in_state(event: Any) -> None:
        inside_synapse.check_state(event, listed)

    def in_new_state(event: Any) -> None:
        inside_synapse.state_of.cache_clear()
        inside_synapse.check_state(event, listed)

    by_state = in_state if shared else in_new_state

    def by_both(event: Any) -> None:
        finished(inside_synapse.check_list(store, event, at_hand))
        by_state(event)

    check = by_both if both else by_state
    return Anew(question, check, forget=inside_synapse.read.cache_clear)
