"""Prints rows the way kubectl does: a table for people, JSON or YAML for scripts."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

_GAP = "   "
# What a terminal obeys instead of showing it: control characters, escapes, and marks that turn the reading direction.
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def render(form: Format, data: Any, table: str) -> str:
    """`data` for scripts, or `table` for people, without a line end."""
    match form:
        case Format.TABLE:
            return visible(table)
        case Format.JSON:
            return visible(json.dumps(data, indent=2, ensure_ascii=False))
        case Format.YAML:
            text = as_yaml(data)
            return text if visible(text) == text else as_yaml(data, ascii_only=True)


def visible(text: str) -> str:
    """`text` with what a terminal would obey written out, as JSON does: who names a trial must not draw the screen."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_yaml(data: Any, *, ascii_only: bool = False) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    from tuning_study.documents import is_text

    class Representer(SafeRepresenter):
        """Quotes text that kubectl and other readers of YAML 1.1 would take for something else."""

        def represent_str(self, data: str) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if is_text(data) else '"')

    Representer.add_representer(str, Representer.represent_str)
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = not ascii_only
    yaml.width = 4096
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue().removesuffix("\n").removesuffix("\n...")


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    """Left-aligned columns under capital headings; a cell that is missing or None is `-`."""
    columns = list(columns) if columns is not None else list(dict.fromkeys(key for row in rows for key in row))
    lines = [[column.upper() for column in columns]] + [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        _GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def cell(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return number(value)
        case Mapping():
            return " ".join(f"{key}={parameter(entry)}" for key, entry in value.items()) or "-"
        case _:
            return visible(str(value).replace("\n", " "))


def parameter(value: object) -> str:
    """A parameter's value, of which null is one."""
    return "null" if value is None else cell(value)


def number(value: float) -> str:
    """Six significant digits: enough to tell trials apart, short enough to read."""
    return f"{value:.6g}"


def duration(seconds: float) -> str:
    """`8s`, `3m20s`, `2h05m`, `3d4h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d{hours % 24}h"
