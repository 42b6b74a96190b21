"""Does a test fail when a line of the rules is wrong? `make mutants`.

mutmut says how a line can be wrong. Its own runner leaves every decorated function as
it is, and all rules are decorated; so its mutants are made and run here.
"""
