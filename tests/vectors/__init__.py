"""Test vectors for every language: written by `make vectors`, explained in `docs/vectors/README.md`."""
