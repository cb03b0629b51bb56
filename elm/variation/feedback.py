"""What a prompt says of things that went before: a parent's evaluation, an answer that was no use.

All of it is text that programs and models wrote, who may mean harm or merely chatter. It is capped,
stripped of control characters, and cannot end the fenced block or the comment that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from elm.candidate import Elite, Status
from elm.models.base import Message
from elm.variation.asking import Complaint
from environments.base import Objective

MAX_METRICS = 8
MAX_INPUTS = 4
MAX_NAME = 40  # characters of a metric's or input's name
MAX_DETAIL = 300
MAX_LOGS = 800  # the last ones
MAX_FEEDBACK = 2_000  # in whole
MAX_REASON = 400
MAX_SHOWN = 1_200  # characters of a bad answer

# All that is not printable but newlines and tabs, and what turns the direction of writing.
_UNSEEN = re.compile(
    r"[^\S \n\t]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]"
)
_FENCES = re.compile(r"`{3,}|~{3,}|<\|")


def harmless(text: str, most: int, *, lines: bool = False, last: bool = False) -> str:
    """Untrusted text for a prompt: no control characters, no fences, no special tokens, capped.

    Args:
        most: characters of it that are kept.
        lines: whether it may have several lines.
        last: whether the end is kept, and not the beginning.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    # No more is looked at than can be kept: logs may be large.
    text = text[-4 * most :] if last else text[: 4 * most]
    text = _UNSEEN.sub(" ", text.replace("\r\n", "\n").replace("\t", "    "))
    text = _FENCES.sub(lambda match: " ".join(match.group()), text)
    text = "\n".join(line.rstrip() for line in text.split("\n") if line.strip())
    if not lines:
        text = " ".join(text.split())
    if len(text) <= most:
        return text
    return "..." + text[3 - most :] if last else text[: most - 3] + "..."


def comment(text: str) -> str:
    """Text as comment lines of Python, "" for none."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n")) if text else ""


def score_text(elite: Elite, objective: Objective) -> str:
    """One line that says how good a program is, "" where nobody knows."""
    fitness = elite.evaluation.fitness
    if fitness is None:
        return ""
    return f"{objective.name}: {fitness:.4g} {objective.unit}".rstrip()


def metrics_text(elite: Elite) -> str:
    """The metrics that the judge measured, one line, "" for none."""
    measured = elite.evaluation.metrics
    shown = [
        f"{harmless(key, MAX_NAME)} {measured[key]:.4g}" for key in list(measured)[:MAX_METRICS]
    ]
    return ", ".join(shown)


def feedback_text(elite: Elite) -> str:
    """What an evaluation says beyond its fitness, a line or some for each thing; "" for nothing."""
    evaluation = elite.evaluation
    parts: list[str] = []
    if shown := metrics_text(elite):
        parts.append(f"metrics: {shown}")
    scores = evaluation.scores
    if len(scores) > 1:
        worst = sorted(scores, key=lambda name: (scores[name], name))[:MAX_INPUTS]
        named = ", ".join(f"{harmless(name, MAX_NAME)} {scores[name]:.4g}" for name in worst)
        parts.append(f"worst inputs: {named}")
    if evaluation.status is not Status.OK:
        parts.append(f"it failed: {evaluation.status}")
    if detail := harmless(evaluation.detail, MAX_DETAIL):
        parts.append(f"detail: {detail}")
    if logs := harmless(evaluation.logs, MAX_LOGS, lines=True, last=True):
        parts.append(f"it printed:\n{logs}")
    return _capped(parts)


def _capped(parts: Iterable[str]) -> str:
    text = "\n".join(parts)
    return text if len(text) <= MAX_FEEDBACK else text[: MAX_FEEDBACK - 3] + "..."


def complaint_text(complaint: Complaint) -> str:
    """One line that says what was wrong with an answer."""
    reason = harmless(complaint.detail, MAX_REASON)
    what = {
        Status.SYNTAX_ERROR: "does not parse",
        Status.PATCH_FAILED: "could not be applied",
        Status.EMPTY_OUTPUT: "holds no program",
    }.get(complaint.status, f"could not be used ({complaint.status})")
    return f"The last answer {what}" + (f": {reason}" if reason else "")


def complaint_turns(complaint: Complaint) -> tuple[Message, ...]:
    """The turns of a conversation that follow on the request: the bad answer, and what was wrong.

    The answer is shown as the model gave it, since it is in a turn of its own.
    """
    shown = complaint.completion[:MAX_SHOWN].strip() or "(nothing)"
    asked = f"{complaint_text(complaint)}\nAnswer again, in full and in the same format."
    return (Message("assistant", shown), Message("user", asked))
