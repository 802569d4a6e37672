"""Audio files in and out, STFT, resampling."""
