"""Builds what a section of the configuration names; see `environments.construct`."""

from environments.construct import construct, suggestion

__all__ = ["construct", "suggestion"]
