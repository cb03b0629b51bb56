"""From the scores of the inputs to one: five ways with names, or an expression of one's own."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from environments.construct import suggestion
from environments.specification.inputs import Inputs

NAMES = ("last", "average", "weighted", "min", "relative_difference")

# Positions of the inputs that succeeded, and their scores, to one number.
Aggregate = Callable[[Sequence[int], Sequence[float]], float]

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "sum": sum,
    "len": len,
    "abs": abs,
    "sorted": sorted,
    "sqrt": math.sqrt,
    "log": math.log,
}
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call),
    *(ast.Name, ast.Constant, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.keyword),
    *(ast.GeneratorExp, ast.ListComp, ast.comprehension, ast.expr_context, ast.operator),
    *(ast.unaryop, ast.boolop, ast.cmpop),
)
_MOST_EXPONENT = 8


def build(
    given: str, inputs: Inputs, baseline: Sequence[Any] | Mapping[str, Any] | None
) -> Aggregate:
    """What a setting asks for.

    `last`: for each value of `s` the score of the largest `n`, and the mean of these; without such
    ranges that of the last input. `weighted`: the mean with `n` as weight; without such a range the
    first input weighs 1, the second 2 and so on. `relative_difference`: the mean of
    (score - baseline) / abs(baseline).

    Args:
        given: one of `NAMES`, or an expression over `scores` and `inputs`.
        inputs: what the scores belong to.
        baseline: reference scores in the order of the inputs, or by their text.

    Raises:
        ValueError: for a wrong value, naming the key.
    """
    if baseline is not None and given != "relative_difference":
        raise ValueError("environment.baseline: only aggregate=relative_difference uses it")
    if given == "last":
        return _last(inputs)
    if given == "average":
        return lambda numbers, scores: _mean(scores)
    if given == "weighted":
        return _weighted(inputs)
    if given == "min":
        return lambda numbers, scores: min(scores)
    if given == "relative_difference":
        return _relative(_references(baseline, inputs))
    return _expression(given, inputs)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _numbers_of(inputs: Inputs, name: str) -> tuple[Any, ...] | None:
    part = inputs.part(name)
    if part is None:
        return None
    for value in part:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"environment.inputs.{name}: {value!r} is not a number")
    return part


def _last(inputs: Inputs) -> Aggregate:
    sizes, groups = _numbers_of(inputs, "n"), inputs.part("s")
    if sizes is None:
        return lambda numbers, scores: scores[max(range(len(numbers)), key=numbers.__getitem__)]
    largest = sizes

    def last(numbers: Sequence[int], scores: Sequence[float]) -> float:
        best: dict[Any, tuple[float, float]] = {}
        for number, score in zip(numbers, scores, strict=True):
            group = groups[number] if groups is not None else None
            if group not in best or largest[number] >= best[group][0]:
                best[group] = (largest[number], score)
        return _mean([score for _, score in best.values()])

    return last


def _weighted(inputs: Inputs) -> Aggregate:
    weights = _numbers_of(inputs, "n") or tuple(range(1, len(inputs.values) + 1))
    for weight in weights:
        if not weight > 0:
            raise ValueError(f"environment.inputs.n: {weight!r} is no weight, it must be above 0")

    def weighted(numbers: Sequence[int], scores: Sequence[float]) -> float:
        chosen = [weights[number] for number in numbers]
        products = [w * score for w, score in zip(chosen, scores, strict=True)]
        return math.fsum(products) / math.fsum(chosen)

    return weighted


def _references(given: Sequence[Any] | Mapping[str, Any] | None, inputs: Inputs) -> list[float]:
    if given is None:
        raise ValueError("environment.baseline: aggregate=relative_difference needs one score each")
    if isinstance(given, Mapping):
        # As they are written: with or without brackets and spaces.
        known = {_bare(str(key)): value for key, value in given.items()}
        missing = [text for text in inputs.texts if _bare(text) not in known]
        if missing:
            raise ValueError(f"environment.baseline has no score for input {missing[0]}")
        values = [known[_bare(text)] for text in inputs.texts]
    else:
        values = list(given)
        if len(values) != len(inputs.values):
            raise ValueError(
                f"environment.baseline has {len(values)} scores for {len(inputs.values)} inputs"
            )
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value:
            raise ValueError(f"environment.baseline: {value!r} is not a number other than 0")
        if not math.isfinite(value):
            raise ValueError(f"environment.baseline: {value!r} is not finite")
    return [float(value) for value in values]


def _bare(text: str) -> str:
    return "".join(text.split()).removeprefix("(").removesuffix(")").removesuffix(",")


def _relative(references: list[float]) -> Aggregate:
    def relative(numbers: Sequence[int], scores: Sequence[float]) -> float:
        return _mean(
            [
                (score - references[number]) / abs(references[number])
                for number, score in zip(numbers, scores, strict=True)
            ]
        )

    return relative


def _expression(text: str, inputs: Inputs) -> Aggregate:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"environment.aggregate: {text!r} does not parse: {error}") from None
    names = _allowed(tree, text)
    code = compile(tree, "<aggregate>", "eval", dont_inherit=True)

    def calculate(numbers: Sequence[int], scores: Sequence[float]) -> float:
        chosen = [inputs.values[number] for number in numbers]
        known = {**_FUNCTIONS, "scores": list(scores), "inputs": chosen}
        value = eval(code, {"__builtins__": {}, **known})
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"gives {repr(value)[:40]}, not a number")
        return float(value)

    if "scores" not in names:
        raise ValueError(f"environment.aggregate: {text!r} does not use the scores")
    try:  # what depends on the values shows with real ones
        calculate(range(len(inputs.values)), [1.0] * len(inputs.values))
    except (ArithmeticError, ValueError):
        pass
    except Exception as error:
        raise ValueError(f"environment.aggregate: {text!r}: {error}") from None
    return calculate


def _allowed(tree: ast.Expression, text: str) -> set[str]:
    """The names that an expression reads, once it is sure that it holds nothing else."""

    def refuse(what: str) -> ValueError:
        return ValueError(f"environment.aggregate: {text!r} holds {what}")

    parts = list(ast.walk(tree))
    read = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Load)}
    own = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
    known = {*_FUNCTIONS, "scores", "inputs"}
    for name in sorted(read - own - known):
        near = suggestion(name, (*NAMES, *known))
        raise ValueError(
            f"environment.aggregate: unknown {name!r}; give one of {', '.join(NAMES)}, or an "
            f"expression over scores and inputs with {', '.join(_FUNCTIONS)}{near}"
        )
    if own & known:
        raise refuse(f"another {min(own & known)}")
    for part in parts:
        if not isinstance(part, _NODES):
            raise refuse(f"{type(part).__name__}, which has no place there")
        if isinstance(part, ast.Call):
            if not (isinstance(part.func, ast.Name) and part.func.id in _FUNCTIONS):
                raise refuse(f"a call of something else than {', '.join(_FUNCTIONS)}")
            if any(keyword.arg not in ("reverse", "default") for keyword in part.keywords):
                raise refuse("an argument with a name that is not reverse or default")
        if isinstance(part, ast.Constant) and type(part.value) not in (int, float, bool):
            raise refuse(f"{part.value!r}, and may hold numbers only")
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow | ast.LShift):
            by = part.right
            small = isinstance(by, ast.Constant) and isinstance(by.value, int | float)
            if not (small and abs(by.value) <= _MOST_EXPONENT):  # type: ignore[attr-defined]
                raise refuse(f"a power that is no number up to {_MOST_EXPONENT}")
    return read
