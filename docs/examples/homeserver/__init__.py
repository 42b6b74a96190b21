"""An example: the federation of a homeserver, in memory, around matrix_membership.

Read in this order:

- `x_matrix`: how a server signs its requests, and how the other one checks who asks;
- `transport` and `answers`: HTTP to other servers and from them, with TLS or without;
- `keys`: the keys of other servers;
- `rooms`: rooms and their events;
- `server`: the server: its rooms, its keys, and the events that it sends;
- `joining`: what it asks of others for its users: to join, to knock, to leave;
- `inviting`: invites, from both sides; `by_address` and `binding`: those of whom only an address is
  known, on the inviting server and on the other one;
- `client_endpoints`, `creating` and `doing`: what it answers its own users, and does for them;
- `asked`: who asks, which is found out before anything is read;
- `endpoints`: what it answers when others join, knock or leave;
- `transactions`: what it does with the events that others send;
- `history`: what it answers when others ask for events and state;
- `__main__`: the server as a process, for a person with curl: `python -m homeserver --help`.

Whatever strangers cause is bounded: what is read, what is asked of others, what is kept. The bounds
are constants at the top of each module; `bounded` is the table that forgets.

It forgets everything when it stops, resolves no forks in a room's state, and of the client
API serves membership alone: its users are whoever names them, by `client_endpoints` or by
calling `server.Homeserver` and `joining`.
"""

from __future__ import annotations
