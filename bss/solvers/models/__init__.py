"""Models of the sources for more talkers than microphones: masks, full-rank and low-rank models."""
