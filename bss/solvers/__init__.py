"""Separation algorithms and their parts."""
