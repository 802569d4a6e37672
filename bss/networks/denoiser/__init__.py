"""The denoiser: noise out of speech."""
