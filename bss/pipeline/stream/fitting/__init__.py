"""What a long recording is separated with, learned from pieces of it."""
