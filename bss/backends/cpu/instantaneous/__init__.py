"""Instantaneous ICA: passes over the samples of a recording."""
