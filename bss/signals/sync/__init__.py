"""Synchronising recorders: where their clocks stand, and recordings as one clock would have made them."""
