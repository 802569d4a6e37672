"""The kernels on NumPy arrays, compiled by numba."""
