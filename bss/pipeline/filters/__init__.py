"""What a separation has learned, without the recording, and its file."""
