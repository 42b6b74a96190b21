"""What was read does not change, and type checkers say so before Python does."""

from __future__ import annotations

from matrix_membership import Event
from matrix_membership.canonical_json import JsonObject, JsonValue, thaw


def right(event: Event) -> JsonValue:
    copy = thaw(event.content)
    copy["body"] = "mine"
    more = event.content | {"body": "mine"}
    return copy if "body" in more else {**event.content, "body": "mine"}


def wrong(event: Event, value: JsonObject) -> None:
    event.content["body"] = "mine"  # error: arg-type
    del event.content["body"]  # error: arg-type
    event.content.update(body="mine")  # error: call-arg
    event.content.pop("body")  # error: arg-type
    event.content.clear()  # error: call-arg
    value.setdefault("body", "mine")  # error: arg-type, call-arg
    value |= {"body": "mine"}  # error: call-arg, misc
