"""The commands of `bss batch`."""
