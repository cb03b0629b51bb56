"""Specifications: a problem in one Python file, in the manner of FunSearch."""
