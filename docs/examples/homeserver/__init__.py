"""An example homeserver in memory, around matrix_membership: federation and membership requests.

Read in this order:

- `transport` and `answers`: send and answer HTTP requests, with TLS or without;
- `keys`: fetch and remember the keys of other servers;
- `rooms`: keep rooms and their events;
- `outbox`: send events to other servers, until they take them;
- `server`: hold it all together;
- `joining`: join, knock and leave through other servers;
- `inviting`: send and take invites; `by_address` and `binding`: the same by address, on the sender's
  server and on the invited user's server;
- `users`: keep the data of its own users: account data, who is suspended, which rooms they forgot;
- `client_endpoints`, `creating` and `doing`: answer its own users, and act for them; `sending`: send their
  messages; `showing` and `summaries`: show them rooms, and tell of those that they are not in;
- `asked`: find out which server asks, before anything else is read;
- `endpoints`: answer when other servers join, knock or leave;
- `transactions` and `gaps`: take the events that other servers send, and fetch those to which they refer;
- `history`: answer when other servers ask for events and state;
- `policing`: be the policy server of rooms, and ask those of others;
- `__main__`: run it as a process, to talk to with curl: `python -m homeserver --help`.

Everything that strangers can cause is bounded: bytes read, requests to other servers, memory. The
bounds are constants at the top of each module; `bounded` is a mapping that forgets the oldest entry.

The example forgets everything when it stops, and serves of the client API
what membership decides. It has no `/sync`. It does not authenticate users: the access token is the user's name.
"""

from __future__ import annotations
