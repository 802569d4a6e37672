"""The methods that `bss unmix` can take: each a value behind one protocol."""
