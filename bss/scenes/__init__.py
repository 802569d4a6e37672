"""The simulator: synthetic voices, rooms, mixing, scenes."""
