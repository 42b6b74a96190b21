"""How fast it is: `make bench` writes the table of the documentation, `make bench-short` holds the bounds."""
