"""An example: the federation of a homeserver, in memory, around matrix_membership.

Read in this order:

- `x_matrix`: how a server signs its requests, and how the other one checks who asks;
- `transport`: HTTP to other servers and from them, with TLS or without;
- `rooms`: rooms and their events;
- `server`: the server: its rooms, its keys, and the events that it sends;
- `joining`: what it asks of others for its users: to join, to knock, to leave;
- `inviting`: invites, from both sides; `by_address`: those of whom only an address is known;
- `client_endpoints`: what it answers its own users;
- `endpoints`: what it answers when others join, knock, leave, or send events;
- `history`: what it answers when others ask for events and state;
- `__main__`: the server as a process, for a person with curl: `python -m homeserver --help`.

It forgets everything when it stops, resolves no forks in a room's state, and of the client
API serves membership alone: its users are whoever names them, by `client_endpoints` or by
calling `server.Homeserver` and `joining`.
"""

from __future__ import annotations
