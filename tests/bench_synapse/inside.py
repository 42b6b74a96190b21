"""The checks by this library inside a Synapse, by the module of the examples, of Synapse's own events."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

# Before the module of the examples: Synapse's handlers import each other in a circle, which only
# this order leaves.
import synapse.rest  # noqa: F401 - see above

import inside_synapse
from tests.bench_synapse.tasks import BOTH, INSIDE, KEPT, Task
from tests.bench_synapse.theirs import Store, finished, judging, listing, signed
from tests.bench_synapse.work import Work


def tasks(work: Work) -> Iterator[tuple[str, Task]]:
    """All checks, by name."""
    for kind, sizes in work.questions.items():
        for users, question in sizes.items():
            event, listed = listing(question)
            signed(event, question)
            at_hand = {entry.event_id: entry for entry in listed}
            in_state = partial(inside_synapse.check_state, event, listed)
            by_list = partial(inside_synapse.check_list, Store(at_hand), event, at_hand)
            anew = partial(_anew, event, in_state)
            yield INSIDE.format(kind=kind, users=users), judging(anew)
            yield KEPT.format(kind=kind, users=users), judging(in_state)
            yield (
                BOTH.format(kind=kind, users=users),
                judging(partial(_both, event, by_list, in_state)),
            )


def _anew(event: Any, check: Callable[[], object]) -> None:
    inside_synapse.READ.pop(event, None)
    check()


def _both(
    event: Any, by_list: Callable[[], Coroutine[Any, Any, None]], in_state: Callable[[], object]
) -> None:
    inside_synapse.READ.pop(event, None)
    finished(by_list())
    in_state()
