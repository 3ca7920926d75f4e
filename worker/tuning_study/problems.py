"""Everything that is wrong with a spec, told in one pass. Called by `manifest` when the models have refused a spec."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from operator import getitem
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from tuning_study.api.crd import structural_schema
from tuning_study.api.options import PRUNERS, SAMPLERS
from tuning_study.api.parameters import Parameter
from tuning_study.api.rules import AS_MANIFEST, RulesBroken
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Pruner, Sampler
from tuning_study.partial import broken_rules, if_told, read_partly
from tuning_study.search.space import check_space
from tuning_study.search.strategy import check_strategy
from tuning_study.text import nearest

Place = Sequence[str | int]

LONGEST = 1000  # characters of one problem
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text in Unicode",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "greater_than_equal": "{ge:.15g} or more",
    "less_than_equal": "{le:.15g} or less",
    "greater_than": "more than {gt:.15g}",
    "too_short": "{min_length} entries or more",
    "too_long": "{max_length} entries or fewer",
    "string_too_short": "{min_length} characters or more",
    "string_too_long": "{max_length} characters or fewer",
    "string_pattern_mismatch": "text that matches {pattern}",
}
_COUNTED = {"too_short", "too_long", "string_too_short", "string_too_long"}
_OPTUNAS = {  # names that are nothing like ours
    "nop": "None",
    "bruteforce": "Grid",
    "asha": "SuccessiveHalving",
    "nsga2": "NSGAII",
    "nsga3": "NSGAIII",
}
_POD_FIELDS = (  # that people write beside `replicas`
    *("activeDeadlineSeconds", "affinity", "containers", "hostNetwork", "imagePullSecrets", "initContainers"),
    *("nodeName", "nodeSelector", "priorityClassName", "runtimeClassName", "schedulerName", "securityContext"),
    *("serviceAccountName", "terminationGracePeriodSeconds", "tolerations", "topologySpreadConstraints"),
)


def problems_of(document: Any, refused: ValidationError) -> list[str]:
    """One sentence, behind its place, for everything that is wrong with the spec that the models have `refused`."""
    spec = read_partly(TuningStudySpec, document)
    errors = [error for error in refused.errors() if not _is_of_rules(error)]
    meant = {_meant(error["loc"]) for error in errors if error["type"] == "extra_forbidden"}
    fields = [_sentence(error, document) for error in errors if error["type"] != "missing" or error["loc"] not in meant]
    rules = [f"{broken.place}: {broken.message}"[:LONGEST] for broken in broken_rules(spec, "spec")]
    return [*fields, *rules, *_problems_of_what_is_sound(document, spec)]


def problems_of_search(spec: TuningStudySpec) -> list[str]:
    """What is wrong with a spec that the models have taken."""
    return [f"spec.{problem}" for problem in check_space(spec.parameters) or check_strategy(spec)]


def _problems_of_what_is_sound(document: Any, spec: Any) -> list[str]:
    """The same of a spec that could be read in part."""
    written = document.get("parameters") if isinstance(document, Mapping) else None
    entries = written if isinstance(written, list) else []
    sound = [parameter for entry in entries if (parameter := _sound(entry))]
    found = check_space(sound)
    if sound and len(sound) == len(entries) and not found:
        found = if_told(lambda: check_strategy(spec), [])
    return [f"spec.{problem}" for problem in found]


def _sound(entry: Any) -> Parameter | None:
    try:
        return Parameter.model_validate(entry, **AS_MANIFEST)
    except ValidationError:
        return None


def _is_of_rules(error: Any) -> bool:
    return isinstance(error.get("ctx", {}).get("error"), RulesBroken)


def _meant(place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The place of the field that a misspelt one stands for."""
    return (*place[:-1], nearest(str(place[-1]), _fields(place[:-1])) or place[-1])


def _sentence(error: Any, document: Any) -> str:
    place, kind, given, context = error["loc"], error["type"], error["input"], error.get("ctx", {})
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = _no_such(place, document)
    elif kind == "missing":
        message = f"required, and missing{_for_example(place)}"
    elif kind == "literal_error":
        message = _no_such_word(str(context["expected"]), given)
    elif kind in _COUNTED:
        message = f"expected {_EXPECTED[kind].format(**context)}, found {len(given)}"
    elif kind in _EXPECTED:
        expected = _EXPECTED[kind].format(**context)
        hint = _how_to_write(given, expected)
        message = f"expected {expected}, found {shown(given)}{hint or _for_example(place)}"
    return f"spec{written}: {message}"[:LONGEST]


def shown(value: Any) -> str:
    """The value as a manifest's author knows it, cut to a reasonable length."""
    if value is None:
        return "nothing"
    try:
        return repr(value)[:LONGEST]
    except (ValueError, RecursionError):  # a number of more digits than Python prints, an object in itself
        return f"a {type(value).__name__} too large to show"


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The one of the `known` that is near to the name, or else all of them."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else f"there are {', '.join(known)}"


def _how_to_write(given: Any, expected: str) -> str:
    """What to write in the place of a value of another type."""
    if not isinstance(given, str):
        return ": quote it" if expected == "text" else ""
    if expected == "a list":
        return f": write [{', '.join(given.split())}]"
    quoted = re.fullmatch(r"[-+]?[0-9_.]+(e[-+]?[0-9]+)?|true|false", given.strip(), re.IGNORECASE)
    return ": write it without quotes" if quoted and expected in ("a number", "a whole number", "true or false") else ""


def _no_such_word(expected: str, given: Any) -> str:
    words = re.findall(r"'([^']*)'", expected)
    near = _nearest_word(given, words) if isinstance(given, str) else None
    wanted = " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    return f"expected {wanted}, found {shown(given)}" + (f"; did you mean {near}?" if near else "")


def _nearest_word(given: str, words: Sequence[str]) -> str | None:
    """Words may be written as in Optuna, whose classes say what they are."""
    bare = re.sub(r"[_ -]?(sampler|pruner|crossover|mutation)$", "", given, flags=re.IGNORECASE)
    meant = _OPTUNAS.get(bare.lower().replace("_", ""))
    return meant if meant in words else nearest(bare, words)


def _no_such(place: Place, document: Any) -> str:
    """What could have been meant by the last part of `place`, which no field is called."""
    *path, name = place
    if path and path[-1] == "options":
        part = reduce(getitem, path[:-1], document)
        kind = part.get("type") or (Sampler() if path[-2] == "sampler" else Pruner()).type
        table = SAMPLERS if path[-2] == "sampler" else PRUNERS
        kind = _nearest_word(str(kind), list(table)) or kind
        fields = [to_camel(option) for option in table.get(str(kind), ())]
        near = nearest(str(name), fields)
        hint = f"did you mean {near}?" if near else f"it knows {', '.join(fields) or 'none'}"
        return f"{kind} has no option {name!r}; {hint}"
    if path == ["workers"] and name in _POD_FIELDS:
        return f"no such field here; it is one of pods: write it as podTemplate: {{spec: {{{name}: …}}}}"
    fields = _fields(path)
    elsewhere = list(places_of(str(name)))
    if not nearest(str(name), fields) and 1 <= len(elsewhere) <= 3:
        return f"no such field here; it belongs in {' or '.join(elsewhere)}"
    return f"no such field; {did_you_mean(str(name), fields)}"


def _fields(place: Place) -> list[str]:
    return list(reduce(_inside, place, schema())["properties"])


def places_of(name: str) -> Iterator[str]:
    """The objects of a spec that have a field of this name."""
    yield from _places_of(name, schema(), "spec")


def _places_of(name: str, node: Mapping[str, Any], place: str) -> Iterator[str]:
    fields = node.get("properties", {})
    if name in fields:
        yield place
    for key, below in fields.items():
        yield from _places_of(name, below.get("items", below), f"{place}.{key}{'[]' if 'items' in below else ''}")


def _for_example(place: Place) -> str:
    """What the description of the field at `place` gives for an example, if it has one."""
    try:
        node = reduce(_inside, place, schema())
    except KeyError:  # inside what may have any fields
        return ""
    _, found, example = str(node.get("description", "")).partition("Example: ")
    return f"; an example is {example.removesuffix('.')}" if found else ""


def _inside(node: dict[str, Any], part: str | int) -> dict[str, Any]:
    found: dict[str, Any] = node["items"] if isinstance(part, int) else node["properties"][part]
    return found


@cache
def schema() -> dict[str, Any]:
    """The spec's schema, as the CRD has it."""
    return structural_schema(TuningStudySpec)
