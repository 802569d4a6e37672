"""The separation methods of `bss unmix`, each a value that follows one protocol."""
