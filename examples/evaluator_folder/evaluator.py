"""Scores a program that orders points: the shorter the tour, the better."""

import importlib.util
import math
import random


def load(program_path):
    spec = importlib.util.spec_from_file_location("program", program_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def instance(seed, count):
    rng = random.Random(seed)
    return [(rng.random(), rng.random()) for _ in range(count)]


def length(points, order):
    if sorted(order) != list(range(len(points))):
        raise ValueError("the tour does not visit every point once")
    return sum(
        math.dist(points[a], points[b]) for a, b in zip(order, order[1:] + order[:1], strict=True)
    )


def score(program, seeds, count):
    found = []
    for seed in seeds:
        points = instance(seed, count)
        found.append(length(points, program.tour(points)))
    # A random tour is about 0.52 long for each point, the best one 0.71 * sqrt(count).
    return {
        "combined_score": 0.7124 * math.sqrt(count) / (sum(found) / len(found)),
        "spread": max(found) - min(found),
    }


def evaluate_stage1(program_path):
    """A few points first: most of what is broken shows here."""
    return score(load(program_path), seeds=[1], count=12)


def evaluate_stage2(program_path):
    metrics = score(load(program_path), seeds=[2, 3, 4, 5], count=60)
    return {"metrics": metrics, "artifacts": {"instances": "4 with 60 points each"}}
