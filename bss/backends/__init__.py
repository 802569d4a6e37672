"""Arithmetic on arrays: the only floor that knows a backend."""
