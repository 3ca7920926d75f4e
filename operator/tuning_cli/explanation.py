"""What the schema says of a field of a TuningStudy, as `tuning explain` prints it. Pure: a schema in, text out."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_report.format import key_values, table
from tuning_study.api.duration import DURATION_PATTERN
from tuning_study.api.resource import KIND, PLURAL, SHORT_NAME

Schema = Mapping[str, Any]

_RESOURCE = {KIND.lower(), PLURAL, SHORT_NAME}
_WIDTH = 100  # of text


@dataclass(frozen=True)
class Field:
    path: str
    schema: Schema
    required: bool

    @property
    def fields(self) -> "Iterator[Field]":
        """The fields below it; of a list, those of its entries."""
        entry, inside = self.schema, self.path
        while "items" in entry:
            entry, inside = entry["items"], f"{inside}[]"
        for name, schema in entry.get("properties", {}).items():
            yield Field(f"{inside}.{name}".lstrip("."), schema, name in entry.get("required", ()))

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def rules(self) -> Sequence[str]:
        """What is refused, in the words of the refusal."""
        entry = self.schema.get("items", {})
        return [rule["message"] for part in (self.schema, entry) for rule in part.get("x-kubernetes-validations", ())]


def find(schema: Schema, path: str) -> Field:
    """The field at `path`, such as `spec.budget` or `parameters[0].min`; without a path the whole resource.

    `spec.` may be left out. Raises WrongUse with the part that is wrong, and what may be meant.
    """
    resource = field = Field("", schema, True)
    for part in _parts(path, resource):
        found = next((below for below in field.fields if below.name == part), None)
        if found is None:
            raise WrongUse(_no_such(part, field, resource))
        field = found
    return field


def _parts(path: str, resource: Field) -> list[str]:
    parts = [part for part in re.sub(r"\[\w*\]", "", path).split(".") if part]
    if parts and parts[0].lower() in _RESOURCE:
        return parts[1:]
    return ["spec", *parts] if parts and parts[0] not in [field.name for field in resource.fields] else parts


def _no_such(part: str, field: Field, resource: Field) -> str:
    place, below = field.path or KIND, {other.name: other for other in field.fields}
    if not below and type_of(field.schema).endswith("object"):
        return f"{place} may have any fields; none is described here"
    if not below:
        return f"{place} has no field {part}: its type is {type_of(field.schema)}"
    near = _near(part, below) or _near(part, {other.path: other for other in _all(resource)})
    meant = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(below)}"
    return f"{place} has no field {part}; {meant}"


def _near(part: str, fields: Mapping[str, Field]) -> Sequence[str]:
    """The keys of those fields that have nearly this name."""
    names = get_close_matches(part.lower(), {field.name.lower() for field in fields.values()}, n=1, cutoff=0.7)
    return [key for key, field in fields.items() if field.name.lower() in names][:3]


def _all(field: Field) -> Iterator[Field]:
    for below in field.fields:
        yield below
        yield from _all(below)


def text(field: Field) -> str:
    """Everything there is to say of the field, and a line for each of those below it."""
    facts: dict[str, object] = {"type": type_of(field.schema)}
    if field.path:
        facts["required"] = "yes" if field.required else "no"
    if isinstance(default := field.schema.get("default"), str | int | float | bool):
        facts["default"] = '""' if default == "" else default
    if limits := list(limits_of(field.schema)):
        facts["limits"] = ", ".join(limits)
    parts = [
        "\n".join([field.path or KIND, *key_values(facts)]),
        "\n".join(textwrap.wrap(field.schema.get("description", ""), _WIDTH)),
    ]
    if field.rules:
        parts.append("\n".join(["RULES", *(line for rule in field.rules for line in _bullet(rule))]))
    if below := list(field.fields):
        parts.append(table([_row(other) for other in below]))
    return "\n\n".join(part for part in parts if part)


def _row(field: Field) -> Mapping[str, str]:
    return {
        "field": field.name,
        "type": type_of(field.schema) + (", required" if field.required else ""),
        "meaning": _first_sentence(field.schema.get("description", "")),
    }


def tree(field: Field) -> str:
    """The names and types of all fields below, one a line, indented."""
    return "\n".join([f"{field.path or KIND}   {type_of(field.schema)}", *_branches(field, "  ")])


def _branches(field: Field, indent: str) -> Iterator[str]:
    for below in field.fields:
        yield f"{indent}{below.name}   {type_of(below.schema)}{', required' if below.required else ''}"
        yield from _branches(below, f"{indent}  ")


def type_of(schema: Schema) -> str:
    if "items" in schema:
        return f"list of {type_of(schema['items'])}"
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("pattern") == DURATION_PATTERN:
        return "duration"
    if schema.get("format") == "date-time":
        return "time"
    return str(schema.get("type", "any value"))


def limits_of(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield f"one of {', '.join(schema['enum'])}"
    if "enum" in schema.get("items", {}):
        yield f"each one of {', '.join(schema['items']['enum'])}"
    if schema.get("exclusiveMinimum"):
        yield f"above {schema['minimum']}"
    yield from _range(None if schema.get("exclusiveMinimum") else schema.get("minimum"), schema.get("maximum"))
    pattern, either = schema.get("pattern"), schema.get("x-kubernetes-int-or-string")
    if pattern == DURATION_PATTERN:
        return
    yield from _range(schema.get("minItems"), schema.get("maxItems"), " entries")
    if not either:
        yield from _range(schema.get("minLength"), schema.get("maxLength"), " characters")
    if keys := schema.get("x-kubernetes-list-map-keys"):
        yield f"no two of one {' and '.join(keys)}"
    if pattern is not None:
        yield f"{'a string ' if either else ''}matches {pattern}"


def _range(least: float | None, most: float | None, unit: str = "") -> Iterator[str]:
    if least is not None and most is not None:
        yield f"{least} to {most}{unit}"
    elif least is not None or most is not None:
        yield f"at least {least}{unit}" if most is None else f"at most {most}{unit}"


def _bullet(rule: str) -> list[str]:
    return textwrap.wrap(rule, _WIDTH, initial_indent="  - ", subsequent_indent="    ")


def _first_sentence(description: str) -> str:
    return re.split(r"(?<=\.) (?=[A-Z])", description, maxsplit=1)[0]
