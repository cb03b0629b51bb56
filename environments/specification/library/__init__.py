"""Specifications that come with the project, each one Python file.

`environment.path=cap_set` names one. They read like a specification of one's own: the docstring
of the module states the problem, one function is evolved, `evaluate` builds a solution with it and
returns it, and `check` computes the score again from the solution alone.
"""
