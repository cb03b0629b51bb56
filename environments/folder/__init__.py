"""Folders with a first program and an evaluator, in the format of OpenEvolve and its relatives."""
