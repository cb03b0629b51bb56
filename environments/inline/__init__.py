"""Inline: a function and its score, given as text."""
