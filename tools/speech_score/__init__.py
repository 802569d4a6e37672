"""Sounds as a separation leaves them, to tell talkers from others by."""
