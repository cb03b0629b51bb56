"""The image environment: pictures are scored by shape, and told apart by colour."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from environments.artifact import BadArtifact
from environments.image.environment import TARGETS, Image
from environments.image.judge import judge
from environments.image.producer import produce
from environments.image.targets import target


def artifact(pixels):
    return base64.b64encode(np.asarray(pixels, np.uint8).tobytes()).decode()


def painted(shape, inside, outside):
    mask = target(shape)[:, :, None]
    return artifact(mask * inside + (1 - mask) * outside)


@pytest.mark.parametrize("name", TARGETS)
def test_the_exact_shape_scores_one_in_any_two_colours(name):
    for inside, outside in (([255, 0, 0], [0, 0, 255]), ([90, 90, 90], [91, 90, 90])):
        scores = judge(painted(name, inside, outside), {"target": name})
        assert scores["fitness"] == pytest.approx(1.0)
        expected = np.asarray(inside) * target(name).mean() + np.asarray(outside) * (
            1 - target(name).mean()
        )
        assert scores["descriptor"] == pytest.approx(list(expected))


@pytest.mark.parametrize("name", TARGETS)
def test_shapes_differ(name):
    for other in TARGETS:
        if other != name:
            assert judge(painted(other, [255] * 3, [0] * 3), {"target": name})["fitness"] < 0.8


def test_plain_pictures_score_zero_and_noise_little():
    settings = {"target": "ring"}
    assert judge(artifact(np.full((32, 32, 3), 77)), settings)["fitness"] == 0.0
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    assert judge(artifact(noise), settings)["fitness"] < 0.2
    half = np.zeros((32, 32, 3))
    half[:, 16:] = 255
    assert judge(artifact(half), settings)["fitness"] == pytest.approx(0.0, abs=1e-9)


def test_likeness_is_the_multiple_correlation():
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3))
    centred = pixels.reshape(-1, 3) - pixels.reshape(-1, 3).mean(axis=0)
    shape = target("cross").ravel() - target("cross").mean()
    fitted = centred @ np.linalg.lstsq(centred, shape, rcond=None)[0]
    expected = np.corrcoef(fitted, shape)[0, 1]
    assert judge(artifact(pixels), {"target": "cross"})["fitness"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "pixel"),
    [
        ("np.full((32, 32, 3), 300.7)", [255, 255, 255]),
        ("np.full((32, 32, 3), -5)", [0, 0, 0]),
        ("[[[1, 2, 3.9]] * 32] * 32", [1, 2, 3]),
        ("[[7] * 32] * 32", [7, 7, 7]),
        ("np.ones((32, 32), dtype=bool)", [1, 1, 1]),
    ],
)
def test_producer_takes_arrays_and_lists(value, pixel):
    made = produce({"image.py": f"def draw():\n    return {value}\n"}, {})
    assert list(base64.b64decode(made)[:3]) == pixel


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("np.zeros((31, 32, 3))", r"shape \(32, 32, 3\), got \(31, 32, 3\)"),
        ("None", "shape|numbers"),
        ("'red'", "must be numbers, got str"),
        ("np.full((32, 32, 3), np.nan)", "must be finite"),
        ("np.full((32, 32, 3), 1j)", "must be numbers"),
        ("[[1], [1, 2]]", "must be numbers"),
    ],
)
def test_producer_explains(value, message):
    with pytest.raises(ValueError, match=message):
        produce({"image.py": f"def draw():\n    return {value}\n"}, {})


def test_padding_cannot_shorten_a_picture():
    with pytest.raises(BadArtifact, match="3072 bytes, got 3071"):
        judge("A" * 4095 + "=", {"target": "ring"})


def test_picture_embeds_the_pixels():
    tree = ElementTree.fromstring(Image().render(painted("ring", [255, 0, 0], [0, 0, 0])))
    href = tree[0].attrib["href"]
    data = base64.b64decode(href.removeprefix("data:image/png;base64,"))
    image = pytest.importorskip("PIL.Image")
    import io

    pixels = np.asarray(image.open(io.BytesIO(data)))
    assert (pixels[:, :, 0] / 255 == target("ring")).all() and not pixels[:, :, 1:].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "face"}, "environment.target must be one of ring, cross"),
        ({"cells": 0}, "environment.cells must be between 1 and 64, got 0"),
        ({"cells": 2.5}, "environment.cells must be a whole number, got 2.5"),
        ({"seeds": "patch"}, "environment.seeds must be a list"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError) as error:
        Image(**settings)
    assert str(error.value).startswith(message)
