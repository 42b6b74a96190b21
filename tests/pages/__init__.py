"""Reference pages that are rendered from the code: `python -m tests.pages` writes them."""
