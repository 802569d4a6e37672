"""The main job: check, choose, unmix."""
