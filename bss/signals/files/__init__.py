"""Audio files: reading them as a whole or in pieces, and writing them all or none."""
