"""How a Synapse is set up that serves tests on loopback."""

from __future__ import annotations

from collections.abc import Mapping

from tests.interop.client_api import JsonObject, JsonValue

__all__ = ["FOR_TESTS", "LOOPBACK", "UNLIMITED", "listener"]

LOOPBACK = "127.0.0.1"

FOR_TESTS: Mapping[str, JsonValue] = {
    "report_stats": False,
    "federation_verify_certificates": False,
    "ip_range_blacklist": [],
    "federation_ip_range_blacklist": [],
    "trusted_key_servers": [],
    "suppress_key_server_warning": True,
    "bcrypt_rounds": 4,
    "default_room_version": "12",
    "presence": {"enabled": False},
    "limit_remote_rooms": {"enabled": False},
    "caches": {"sync_response_cache_duration": "0s"},
    "federation": {
        "destination_min_retry_interval": "1s",
        "destination_retry_multiplier": 1,
        "destination_max_retry_interval": "2s",
        "max_short_retries": 1,
        "max_short_retry_delay": "1s",
        # A transaction that failed is sent again after at most this, not after 4, 16 and 60 s.
        "max_long_retry_delay": "1s",
    },
}
"""What makes Synapse talk to peers on loopback, answer freshly and try again soon."""


QUICK = {"per_second": 1e6, "burst_count": 1_000_000}
"""A rate limit that no test reaches."""

UNLIMITED: Mapping[str, JsonValue] = {
    "rc_message": QUICK,
    "rc_registration": QUICK,
    "rc_login": {"address": QUICK, "account": QUICK, "failed_attempts": QUICK},
    "rc_joins": {"local": QUICK, "remote": QUICK},
    "rc_joins_per_room": QUICK,
    "rc_invites": {"per_room": QUICK, "per_user": QUICK, "per_issuer": QUICK},
    "rc_third_party_invite": QUICK,
    "rc_room_creation": QUICK,
    "rc_key_requests": QUICK,
    "rc_admin_redaction": QUICK,
    "rc_federation": {"sleep_limit": 1_000_000, "reject_limit": 1_000_000, "concurrent": 1000},
}


def listener(port: int, *resources: str, tls: bool) -> JsonObject:
    return {
        "port": port,
        "type": "http",
        "tls": tls,
        "bind_addresses": [LOOPBACK],
        "resources": [{"names": list(resources)}],
    }
