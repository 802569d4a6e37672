"""Networks that learn what sound is: autoencoders, the denoiser, the source model; their training and their weights."""
