"""Scores of separations against the truth."""
