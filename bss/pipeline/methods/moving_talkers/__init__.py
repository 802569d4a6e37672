"""Talkers who move: a demixing around every moment."""
