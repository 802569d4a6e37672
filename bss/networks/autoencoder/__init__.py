"""Undercomplete and variational autoencoders of frames of sound."""
