"""Operators: what turns parents into children."""
