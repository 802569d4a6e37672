"""Iterations that learn a demixing, on tensors: covariances, updates, and the models with them."""
