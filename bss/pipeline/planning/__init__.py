"""What is asked for and what will be done: options, method, window, usable spans."""
