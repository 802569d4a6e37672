"""From talkers to microphones: rooms, reflections, movement, levels."""
