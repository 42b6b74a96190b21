"""Judge events by Synapse's rules: read one JSON case a line, write `true` or `false` a line.

Run it with the Python of an environment that has Synapse. It does not import this project.
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
    """Return whether Synapse's rules on the state allow an event; any error counts as a no."""
    version = KNOWN_ROOM_VERSIONS[case["room_version"]]
    try:
        state = [make_event_from_dict(pdu, version) for pdu in case["state"]]
        event = make_event_from_dict(case["event"], version)
        validate_event_for_room_version(event)  # checks the authoriser's signature
        check_state_dependent_auth_rules(event, state)
    except SynapseError:
        return False
    except Exception as stumbled:  # noqa: BLE001 - KeyError, AttributeError, and so on
        print(type(stumbled).__name__, stumbled, file=sys.stderr)
        return False
    return True


for line in sys.stdin:
    print(json.dumps(allows(json.loads(line))), flush=True)
