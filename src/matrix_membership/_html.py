"""Pages for people: their head, their colours, and strangers' text made harmless.

The text of events comes from strangers. It is escaped, and its control and direction
marks are spelled out. Each piece of it is an element of its own, so that right-to-left
letters move nothing around them. A page forbids itself scripts and any request.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

# `html.escape` does the same. To import it takes 1.6 ms, a fiftieth of what this package takes, for
# a table of entities that is not used here.
_ESCAPED: Final = MappingProxyType(
    str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
)

_HEAD: Final = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
)

_STYLE: Final = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #59636e; --line: #c4ccd4; --won: #116329; --lost: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --back: #12161b; --text: #e6edf3; --soft: #9aa5b1; --line: #3a434d; --won: #56d364; --lost: #ff8278; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 12px; max-width: 76rem; background: var(--back); color: var(--text); font: 16px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: .4rem 0; } h2 { font-size: 1.1rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
h3, li, p, pre { overflow-wrap: anywhere; } pre { white-space: pre-wrap; font: inherit; margin: .3rem 0; }
ol, ul { padding-left: 1.3rem; margin: .3rem 0; }
.soft { color: var(--soft); } .won { color: var(--won); } .lost { color: var(--lost); }
""".strip()


def head_of(title: str, style: str) -> str:
    """Return the beginning of a page, up to its first heading.

    Args:
        title: the title, already escaped.
        style: the page's own style.
    """
    return f"{_HEAD}<title>{title}</title>\n<style>\n{_STYLE}\n{style}\n</style>\n</head>\n<body>"


def escape(text: str) -> str:
    """Return a text in which no character means anything to HTML."""
    return text.translate(_ESCAPED)


def value(text: str) -> str:
    """Return a value of an event, isolated from the text around it."""
    return f"<bdi>{escaped(text)}</bdi>"


def escaped(text: str) -> str:
    """Return a text of strangers for a page."""
    return escape(visible(text))


def visible(text: str, *, keep: str = "") -> str:
    """Return a text of strangers with its invisible characters spelled out."""
    return "".join(
        char if char.isprintable() or char in keep else f"\\u{ord(char):04x}" for char in text
    )
