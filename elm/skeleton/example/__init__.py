"""Example: programs that place points far from one another."""
