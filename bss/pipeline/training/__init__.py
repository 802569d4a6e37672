"""Training of networks that learn from separations: simulated rooms, separated as `unmix` does, and what is trained on them."""
