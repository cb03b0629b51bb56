"""Executes programs that nobody trusts. Knows no archive and no language model."""
