"""A search for input that raises, takes long or takes much memory: `make fuzz`.

`recipes` says what an input is, and makes one of any bytes. `work` calls an entry with it and holds the bounds. Both
run without atheris, so that the inputs kept in `tests/data/fuzz` are ordinary tests. `__main__` is the search.
"""
