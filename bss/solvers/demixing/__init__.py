"""Demixing of spectra: the contrasts and updates, and the solvers made of them."""
