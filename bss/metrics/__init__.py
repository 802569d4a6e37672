"""Scores of separated tracks against the true sources."""
