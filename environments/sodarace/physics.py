"""The physics of Sodarace: a walker's life on the ground, in Box2D.

Everything here is part of the score: a change of any constant raises the environment's version.

Constants of the world (after IESoR and the Sodarace domain of the ELM paper): gravity -25 m/s2,
60 steps a second with 10 velocity and 10 position iterations. Joints are discs of half a metre,
25 kg/m2, friction 1, linear damping 1.1 /s, fixed rotation, and pass through one another. Muscles
are distance joints of 3 Hz and damping ratio 0.3, whose rest length is
`L0 + A*cos(3*t + 2*pi*phase)`, with A limited to 0.3 of L0.

A walker is lowered until it touches flat ground and settles with its muscles at rest, until no
joint has moved faster than 5 cm/s for half a second; only then does time start to count.

Each walker gets a world of its own, whose result depends on nothing but walker and settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import Box2D

from environments.sodarace.design import DENSITY, RADIUS, Design

GRAVITY = -25.0  # m/s2
STEPS_PER_SECOND = 60
ITERATIONS = 10  # of velocities and of positions
FRICTION = 1.0
LINEAR_DAMPING = 1.1  # 1/s
MUSCLE_HZ = 3.0
MUSCLE_DAMPING = 0.3
RATE = 3.0  # rad/s, of every muscle
MAX_SWING = 0.3  # of a muscle's length: the largest amplitude
GROUND = 20_000.0  # m either side of the origin: further than anything gets
WATCH = 5  # steps between two looks at a walker, recorded or not: 12 a second
REST_SPEED = 0.05  # m/s: below it a joint is at rest
REST_LOOKS = 6  # in a row at which all joints must be at rest


@dataclass(frozen=True)
class Motion:
    """What became of a walker.

    `frames` (when recorded) holds each joint's (x, y) twelve times a second, from the moment at
    which the walker has settled; in metres, with the ground at y = 0.
    """

    settled: float | None  # seconds until it had come to rest; None if it never did
    start: float  # x of the centre of mass when the walker had settled
    end: float  # the same, when time was up
    highest: float  # largest height over ground of the lowest joint while time counted, m
    fastest: float  # largest speed of a joint while time counted, m/s
    frames: list[list[tuple[float, float]]] = field(default_factory=list)


def rest_length(length: float, amplitude: float, phase: float, t: float) -> float:
    """A muscle's rest length in metres, `t` seconds after the muscles started."""
    swing = max(-MAX_SWING * length, min(MAX_SWING * length, amplitude))
    return length + swing * math.cos(RATE * t + 2.0 * math.pi * phase)


def simulate(design: Design, settings: dict[str, Any], frames: bool = False) -> Motion:
    """Lets a walker settle on flat ground with its muscles at rest, then run.

    Args:
        design: the walker; it is lowered until its lowest joint touches the ground.
        settings: `terrain`, `seconds` that count, and at most `settle_seconds` before them.
        frames: whether to record the motion.

    Raises:
        ValueError: if there is no such terrain.
    """
    world = Box2D.b2World(gravity=(0.0, GRAVITY), doSleep=False)
    _lay(world, settings["terrain"])
    lowest = min(y for _, y in design.joints)
    bodies = [
        world.CreateDynamicBody(
            position=(x, y - lowest + RADIUS),
            fixedRotation=True,
            allowSleep=False,  # a new rest length wakes nobody
            linearDamping=LINEAR_DAMPING,
            fixtures=Box2D.b2FixtureDef(
                shape=Box2D.b2CircleShape(radius=RADIUS),
                density=DENSITY,
                friction=FRICTION,
                groupIndex=-1,
            ),
        )
        for x, y in design.joints
    ]
    driven = []
    for a, b, amplitude, phase in design.muscles:
        spring = world.CreateDistanceJoint(
            bodyA=bodies[a],
            bodyB=bodies[b],
            anchorA=bodies[a].worldCenter,
            anchorB=bodies[b].worldCenter,
            frequencyHz=MUSCLE_HZ,
            dampingRatio=MUSCLE_DAMPING,
            collideConnected=False,
        )
        if amplitude:
            driven.append((spring, spring.length, amplitude, phase))

    settled = _settle(world, bodies, settings["settle_seconds"])
    start = sum(body.position.x for body in bodies) / len(bodies)
    recorded = []
    highest = fastest = 0.0
    for step in range(round(settings["seconds"] * STEPS_PER_SECOND)):
        t = step / STEPS_PER_SECOND
        for spring, length, amplitude, phase in driven:
            spring.length = rest_length(length, amplitude, phase, t)
        world.Step(1.0 / STEPS_PER_SECOND, ITERATIONS, ITERATIONS)
        if step % WATCH == 0:
            highest = max(highest, min(b.position.y for b in bodies) - RADIUS)
            fastest = max(fastest, _fastest(bodies))
            if frames:
                recorded.append([(b.position.x, b.position.y) for b in bodies])
    end = sum(body.position.x for body in bodies) / len(bodies)
    return Motion(settled, start, end, highest, fastest, recorded)


def _lay(world: Box2D.b2World, terrain: str) -> None:
    if terrain != "flat":
        raise ValueError(f"there is no terrain {terrain!r}, only flat")
    edge = Box2D.b2EdgeShape(vertices=[(-GROUND, 0.0), (GROUND, 0.0)])
    world.CreateStaticBody(fixtures=Box2D.b2FixtureDef(shape=edge, friction=FRICTION))


def _settle(world: Box2D.b2World, bodies: list[Box2D.b2Body], most: float) -> float | None:
    quiet = 0
    for step in range(1, round(most * STEPS_PER_SECOND) + 1):
        world.Step(1.0 / STEPS_PER_SECOND, ITERATIONS, ITERATIONS)
        if step % WATCH == 0:
            quiet = quiet + 1 if _fastest(bodies) < REST_SPEED else 0
            if quiet == REST_LOOKS:
                return step / STEPS_PER_SECOND
    return None


def _fastest(bodies: list[Box2D.b2Body]) -> float:
    return max(body.linearVelocity.length for body in bodies)
