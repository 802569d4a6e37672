"""The parts of `bss unmix`."""
