"""The check before a separation: which channels are usable, and what is wrong with the others."""
