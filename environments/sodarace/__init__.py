"""Sodarace: two-dimensional walkers of joints and muscles that run on the ground."""
