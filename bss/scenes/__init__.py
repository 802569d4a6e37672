"""The simulator: voices, mixing, rooms."""
