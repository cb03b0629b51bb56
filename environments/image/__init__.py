"""Image: programs that draw a small picture."""
