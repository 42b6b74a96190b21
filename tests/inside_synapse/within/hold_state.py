"""A module of Synapse: while a file is there, it answers no server that asks for the state of a room.

So a server that joined stays without the members that the answer to its join left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synapse.federation.federation_server import FederationServer

MOMENT = 0.05
answer = FederationServer.on_state_ids_request


class Hold:
    """Holds the answers to requests for state IDs.

    Args:
        config: `gate`, the file.
        api: Synapse.
    """

    def __init__(self, config: dict[str, str], api: Any) -> None:
        is_shut = Path(config["gate"]).exists

        async def held(server: Any, *asked: Any, **more: Any) -> Any:
            while is_shut():
                await api.sleep(MOMENT)
            return await answer(server, *asked, **more)

        FederationServer.on_state_ids_request = held
