"""Function: vectors of numbers that minimise classic test functions."""
