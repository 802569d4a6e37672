"""Analysis of a recording before it is separated, and of its tracks afterwards."""
