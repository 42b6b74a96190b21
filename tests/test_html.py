"""Text of strangers is made harmless for a page."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from matrix_membership._html import escape


@given(st.text(st.sampled_from("<>&\"'ax;#")) | st.text())
def test_text_is_escaped_as_the_standard_library_does(text: str) -> None:
    assert escape(text) == html.escape(text)
