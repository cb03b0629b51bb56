"""Optimisation: mathematical problems whose best known solutions are on record."""
