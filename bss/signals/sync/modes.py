"""What may be done about recorders that are out of step, by name; loads no NumPy, so that `bss unmix --help` does not."""

MODES = ("auto", "off", "offset", "drift")
