"""The same work by Synapse's functions and by this library, in turns: `make bench-synapse`.

Synapse's environment has neither pytest nor Hypothesis, and no room of these tests. So the development environment writes
the work into a file (`rooms`), and Synapse's interpreter reads it (`work`), does it both ways (`ours`, `theirs`),
and writes the table of the documentation (`__main__`). Nothing else imports `theirs`.
"""
