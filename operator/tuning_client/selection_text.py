"""A selection in one word of the command line, as `tuning pareto --choose` takes it. Pure."""

from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_study.api.selection import Selection
from tuning_study.api.spec import TuningStudySpec
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec

FORMS = "knee, weighted:NAME=1,NAME=0.2, lexicographic:NAME~1%,NAME or aspiration:NAME=0.95,NAME=20"
_PLACE = "spec.selection"


def parse(text: str, spec: TuningStudySpec) -> Selection:
    """The selection, checked as if it stood in the study's manifest. Raises WrongUse."""
    selection = _read(text)
    try:
        read_spec(spec.manifest() | {"selection": selection})
    except InvalidStudy as invalid:
        # A round of an earlier release may have other problems, which are not of interest here.
        if found := [problem.removeprefix(f"{_PLACE}: ") for problem in invalid.problems if _PLACE in problem]:
            raise WrongUse(f"--choose {text}: {'; '.join(found)}") from invalid
    return Selection.model_validate(selection)


def _read(text: str) -> dict[str, Any]:
    """As a manifest would have it."""
    kind, _, rest = text.partition(":")
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    match kind.strip().lower():
        case "knee" if not parts:
            return {"policy": "Knee"}
        case "weighted" if parts:
            return {"policy": "Weighted", "weights": dict(_pair(part, text) for part in parts)}
        case "aspiration" if parts:
            return {"policy": "AchievementScalarizing", "aspiration": dict(_pair(part, text) for part in parts)}
        case "lexicographic" if parts:
            named = [part.rpartition("~") if "~" in part else (part, "", "") for part in parts]
            tolerance = {name: _fraction(given, text) for name, mark, given in named if mark}
            order = {"policy": "Lexicographic", "order": [name for name, _, _ in named]}
            return order | ({"tolerance": tolerance} if tolerance else {})
    raise WrongUse(f"--choose {text}: write {FORMS}")


def _pair(part: str, text: str) -> tuple[str, float]:
    name, _, value = part.rpartition("=")
    return name, _number(value, part, text)


def _fraction(given: str, text: str) -> float:
    """`1%` or `0.01`."""
    number = _number(given.removesuffix("%"), f"~{given}", text)
    return number / 100 if given.endswith("%") else number


def _number(value: str, part: str, text: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise WrongUse(f"--choose {text}: {part!r} has no number: write {FORMS}") from error
