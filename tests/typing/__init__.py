"""Typed code of users: mypy checks that it checks, and pytest that it runs."""
