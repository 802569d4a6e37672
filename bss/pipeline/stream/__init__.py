"""Long recordings: filters are learned from spans of them, and applied block by block."""
