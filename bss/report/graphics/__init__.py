"""What a report shows, measured and drawn."""
