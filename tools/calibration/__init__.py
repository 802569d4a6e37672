"""What `tools/calibrate.py` is made of: scenes with a known truth, what is measured of them, and fits of what it means."""
