"""Answer one question about a state, as JSON. The playground runs this in the browser."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any


def no_signatures(*_: object, **__: object) -> Any:
    """Stand for PyNaCl, which has no build for the browser outside Pyodide's own servers."""
    raise NotImplementedError("this page cannot check signatures, which a third-party invite needs")


def stand_in(name: str, **contents: object) -> None:
    """Put a module in place of one that is not there."""
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


stand_in("nacl")
stand_in("nacl.bindings", crypto_sign_open=no_signatures)
stand_in("nacl.exceptions", BadSignatureError=ValueError)
stand_in("signedjson")
stand_in("signedjson.key", decode_signing_key_base64=no_signatures)
stand_in("signedjson.types", SigningKey=object)

from matrix_membership import may, read_state  # noqa: E402 - after those that it imports


def ask(state: str, user: str, question: str, target: str) -> str:
    """Answer a question of `may`, as JSON: the answer, or the error of the input."""
    try:
        told = getattr(may(user, read_state(json.loads(state))), question)
        answer = told(target) if target else told()
    except (ValueError, TypeError, LookupError, NotImplementedError) as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})
    decision = answer.decision
    return json.dumps(
        {
            "answer": str(answer),
            "verdict": "unknown" if answer.unknown else "yes" if answer else "no",
            "specification": None if decision is None else decision.url,
            "rule": None if decision is None else decision.docs_url,
            "remedies": [str(remedy) for remedy in answer.remedies],
            "explanation": str(answer.explanation or ""),
        }
    )
