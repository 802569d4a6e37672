"""What commands have in common: output, endings, numbers, tables, progress."""
