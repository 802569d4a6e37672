"""Arithmetic on torch tensors of any device, batched over bins."""
