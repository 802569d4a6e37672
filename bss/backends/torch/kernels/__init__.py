"""Triton twins of the passes of an iteration: each reads the spectra once for all sources, and stores no products."""
