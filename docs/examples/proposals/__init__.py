"""Proposals as amended rulebooks, each in a module of its own."""
