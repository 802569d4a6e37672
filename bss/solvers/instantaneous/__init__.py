"""Instantaneous ICA, and the whitening it begins with."""
