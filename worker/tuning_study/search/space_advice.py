"""What a reviewer would ask about a search space: scales, choices that are numbers, ranges that leave no choice.

Called by advice, which adds what is seldom meant elsewhere in a manifest.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tuning_study.api.parameters import Parameter

_LOGARITHMIC = re.compile(
    r"(?:^|[_.-])(?:lr|learning_?rate|eta|alpha|lambda|l1|l2|weight_?decay|reg_alpha|reg_lambda|C|gamma|tol|eps|epsilon)$",
)
_CLEARLY_WIDE = 10  # max divided by min, of parameters that are known to act by orders of magnitude
_WIDE = 1000  # of any other


def of_space(parameters: Sequence[Parameter]) -> Iterator[str]:
    """One sentence for each parameter to reconsider, with its place."""
    for parameter in parameters:
        sentence = _of_choices(parameter) if parameter.type == "Categorical" else _of_range(parameter)
        if sentence:
            yield f"parameters.{parameter.name}: {sentence}"


def _of_choices(parameter: Parameter) -> str | None:
    values = parameter.values or []
    if len(values) == 1:
        return f"it is always {values[0]!r}: give it to the objective as an argument, or add values"
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < max(3, len(values)) or any(left >= right for left, right in pairwise(numbers)):
        return None
    kind = "Int" if all(isinstance(value, int) for value in numbers) else "Float"
    steps = {round(right - left, 12) for left, right in pairwise(numbers)}
    how = f"step: {steps.pop():.15g}" if len(steps) == 1 else "scale: Log" if numbers[0] > 0 else "scale: Linear"
    return (
        f"as a Categorical its numbers have no order, and what one says of its neighbours is not learned: write `type: "
        f"{kind}, min: {numbers[0]:.15g}, max: {numbers[-1]:.15g}, {how}`"
    )


def _of_range(parameter: Parameter) -> str | None:
    low, high = parameter.min, parameter.max
    assert low is not None and high is not None  # a rule of Parameter
    if low == high:
        return f"it is always {low:.15g}: give it to the objective as an argument, or widen the range"
    step = parameter.step
    if step is not None and low + 2 * step > high * (1 + 1e-9):
        pair = f"[{low:.15g}, {low + step:.15g}]"
        return (
            f"with a step of {step:.15g} it has 2 values: take a smaller step, or a Categorical with `values: {pair}`"
        )
    if parameter.scale == "Log" or step is not None:
        return None
    known = _LOGARITHMIC.search(parameter.name)
    if low > 0 and high / low >= (_CLEARLY_WIDE if known and parameter.type == "Float" else _WIDE):
        share = (high - low) / 10
        return (
            f"on a Linear scale nine of ten trials lie above {low + share:.3g}, and the range spans a factor of "
            f"{high / low:.3g}: write `scale: Log`"
        )
    if known and low == 0 and parameter.type == "Float" and re.search(r"(?:lr|learning_?rate|decay)$", parameter.name):
        return (
            f"it acts by orders of magnitude: write `min: {high / 1e4:.1g}, scale: Log` instead of 0 on a Linear scale"
        )
    return None
