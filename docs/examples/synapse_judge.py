"""Judges events by Synapse's rules: one JSON case a line in, `true` or `false` a line out.

It is run by the Python of an environment that has Synapse, and knows nothing of this project.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.event_auth import (
    check_state_dependent_auth_rules,
    validate_event_for_room_version,
)
from synapse.events import make_event_from_dict


def allows(case: Any) -> bool:
    """Whether Synapse's rules on the state allow an event; one on which they stumble is not allowed."""
    version = KNOWN_ROOM_VERSIONS[case["room_version"]]
    try:
        state = [make_event_from_dict(pdu, version) for pdu in case["state"]]
        event = make_event_from_dict(case["event"], version)
        validate_event_for_room_version(event)  # asks for the signature of who vouches
        check_state_dependent_auth_rules(event, state)
    except SynapseError:
        return False
    except Exception as stumbled:  # noqa: BLE001 - meant for nobody: KeyError, AttributeError, and so on
        print(type(stumbled).__name__, stumbled, file=sys.stderr)
        return False
    return True


for line in sys.stdin:
    print(json.dumps(allows(json.loads(line))), flush=True)
