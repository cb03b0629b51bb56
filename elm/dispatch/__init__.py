"""Pushes candidates to sandboxes and brings their evaluations home."""
