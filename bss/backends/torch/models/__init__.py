"""Models of the sources in space, on tensors."""
