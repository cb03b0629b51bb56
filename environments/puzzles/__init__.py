"""Puzzles: programs whose return value has to satisfy a checker."""
