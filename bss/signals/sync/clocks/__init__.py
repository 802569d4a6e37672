"""The clock of one recorder beside another: offset, rate, jumps."""
