"""The learned source model: one talker of separated tracks without what is left of the others."""
