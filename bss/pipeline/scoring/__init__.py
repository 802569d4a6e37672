"""Scores of separated tracks in files, with and without the truth."""
