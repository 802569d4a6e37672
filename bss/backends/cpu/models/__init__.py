"""Models of the sources, and of how they reach the microphones."""
