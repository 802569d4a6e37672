"""The command line of bss."""
