"""Parity: programs to be repaired until they tell the parity of four bits."""
