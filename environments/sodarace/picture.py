"""A walker in motion as one self-contained SVG: an animation over a stroboscopic still."""

from __future__ import annotations

from html import escape
from typing import Any

from environments.sodarace.design import RADIUS, Design, read
from environments.sodarace.physics import STEPS_PER_SECOND, WATCH, simulate

Pose = list[tuple[float, float]]

UNIT = 20  # SVG units a metre: whole units are exact enough, and short to write
HOLD = 12  # frames for which the animation rests on the last pose
MIN_ASPECT = 2.4
PHASES = ("#e4572e", "#f0a202", "#6a994e", "#1b98a6", "#3d5a98", "#9b4f96")  # by sixths of a turn
STRUT = "#5c6470"
INK = "#22262e"


def draw(artifact: Any, settings: dict[str, Any]) -> str:
    """The walker on its way, from where it had settled, as SVG text.

    Args:
        artifact: a walker as plain data.
        settings: the judge's.

    Raises:
        ValueError: if the artifact is no walker.
    """
    design = read(artifact)
    motion = simulate(design, settings, frames=True)
    poses: list[Pose] = motion.frames
    left = min(x for pose in poses for x, _ in pose) - 3.0
    right = max(x for pose in poses for x, _ in pose) + 3.0
    top = max(y for pose in poses for _, y in pose) + 3.0
    deep = max(2.0, 0.12 * top, (right - left) / 40)  # of ground, to hold the ruler
    missing = MIN_ASPECT * (top + deep) - (right - left)
    if missing > 0:
        left, right = left - missing / 2, right + missing / 2
    x0, y0 = round(left * UNIT), round(-top * UNIT)
    width, height = round((right - left) * UNIT), round((top + deep) * UNIT)
    size = max(height / 16, width / 50)  # of the letters
    distance = motion.end - motion.start
    label = f"{abs(distance):.1f} m in {settings['seconds']:g} s"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x0} {y0} {width} {height}" '
        f'role="img" aria-label="{escape(f"A walker covers {label}")}" '
        f'font-family="ui-sans-serif, system-ui, sans-serif" font-size="{size:.1f}">',
        '<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">'
        '<stop offset="0" stop-color="#e8eef5"/><stop offset="1" stop-color="#fbf7ef"/>'
        "</linearGradient></defs>",
        f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" fill="url(#sky)"/>',
        f'<rect x="{x0}" y="0" width="{width}" height="{deep * UNIT:.0f}" fill="#d9cfbb"/>',
        f'<path d="M{x0} 0h{width}" stroke="{STRUT}" stroke-width="3"/>',
        *_ruler(motion.start, left, right, size),
        *_strobe(design, poses),
        _trail(poses),
        *_walker(design, poses),
        f'<text x="{x0 + size}" y="{y0 + 1.7 * size:.1f}" fill="{INK}" font-weight="600">'
        f"{escape(label)}</text>",
        "</svg>",
    ]
    return "\n".join(parts)


def _ruler(start: float, left: float, right: float, size: float) -> list[str]:
    """Marks along the ground, in metres from where the centre of mass started."""
    step = next((step for step in (5, 10, 20, 50, 100) if (right - left) / step <= 12), 200)
    parts = []
    for mark in range(int((left - start) / step) - 1, int((right - start) / step) + 2):
        x = start + mark * step
        if left + 1.0 < x < right - 1.0:
            parts.append(
                f'<path d="M{x * UNIT:.0f} 0v{size * 0.3:.1f}" stroke="{STRUT}" stroke-width="2"/>'
                f'<text x="{x * UNIT:.0f}" y="{1.1 * size:.1f}" fill="{STRUT}" '
                f'font-size="{0.75 * size:.1f}" text-anchor="middle">{mark * step}</text>'
            )
    return parts


def _strobe(design: Design, poses: list[Pose]) -> list[str]:
    """Faint earlier poses, so spaced that they hardly overlap."""
    span = abs(_centre(poses[-1])[0] - _centre(poses[0])[0])
    ghosts = max(1, min(6, int(span / (0.7 * design.width))))
    chosen: list[Pose] = []
    for k in range(ghosts):
        # The first pose that has come so far.
        reached = (abs(_centre(p)[0] - _centre(poses[0])[0]) >= span * k / ghosts for p in poses)
        chosen.append(poses[next(i for i, there in enumerate(reached) if there)])
    pairs = [(a, b) for a, b, _, _ in design.muscles]
    return [
        f'<g fill="none" stroke="{STRUT}" stroke-linecap="round" opacity="{0.12 + 0.03 * k:.2f}">'
        f'<path d="{_lines(pose, pairs)}" stroke-width="5"/>'
        f'<path d="{_dots(pose)}" stroke-width="{2 * RADIUS * UNIT:g}"/></g>'
        for k, pose in enumerate(chosen)
    ]


def _trail(poses: list[Pose]) -> str:
    points = " ".join(
        f"{x * UNIT:.0f},{-y * UNIT:.0f}" for x, y in (_centre(pose) for pose in poses)
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-width="2.5" '
        f'stroke-dasharray="2 7" stroke-linecap="round" opacity="0.55"/>'
    )


def _walker(design: Design, poses: list[Pose]) -> list[str]:
    """The walker itself: at its last pose where nothing moves, else animated in a loop."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for a, b, amplitude, phase in design.muscles:
        turn = phase + 0.5 if amplitude < 0 else phase  # a negative swing is half a turn late
        colour = PHASES[int(turn % 1.0 * len(PHASES)) % len(PHASES)] if amplitude else STRUT
        groups.setdefault(colour, []).append((a, b))
    parts = ['<g fill="none" stroke-linecap="round">']
    for colour, pairs in sorted(groups.items(), key=lambda group: group[0] != STRUT):
        thick = 5 if colour == STRUT else 7
        frames = [_lines(pose, pairs) for pose in poses]
        parts.append(_animated(frames, f'stroke="{colour}" stroke-width="{thick}"'))
    dots = [_dots(pose) for pose in poses]
    parts.append(_animated(dots, f'stroke="{INK}" stroke-width="{2 * RADIUS * UNIT:g}"'))
    parts.append(_animated(dots, f'stroke="#fff" stroke-width="{0.9 * RADIUS * UNIT:g}"'))
    parts.append("</g>")
    return parts


def _animated(frames: list[str], style: str) -> str:
    seconds = (len(frames) + HOLD) * WATCH / STEPS_PER_SECOND
    values = ";".join(frames + frames[-1:] * HOLD)
    return (
        f'<path d="{frames[-1]}" {style}><animate attributeName="d" dur="{seconds:g}s" '
        f'repeatCount="indefinite" values="{values}"/></path>'
    )


def _lines(pose: Pose, pairs: list[tuple[int, int]]) -> str:
    return "".join(
        f"M{pose[a][0] * UNIT:.0f} {-pose[a][1] * UNIT:.0f}"
        f"L{pose[b][0] * UNIT:.0f} {-pose[b][1] * UNIT:.0f}"
        for a, b in pairs
    )


def _dots(pose: Pose) -> str:
    """Lines of no length, which round caps make discs."""
    return "".join(f"M{x * UNIT:.0f} {-y * UNIT:.0f}h0" for x, y in pose)


def _centre(pose: Pose) -> tuple[float, float]:
    return sum(x for x, _ in pose) / len(pose), sum(y for _, y in pose) / len(pose)
