"""Values and rows as a terminal shows them: short enough to read, and never obeyed by it."""

import re
from collections.abc import Mapping, Sequence

from tuning_study.budget import Counts
from tuning_study.values import stored

_GAP = "   "
# What a terminal obeys instead of showing it: control characters, escapes, and marks that turn the reading direction.
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with what a terminal would obey written out, as JSON does: who names a trial must not draw the screen."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
    """A parameter's value, of which null is one, and lists and objects too."""
    return "null" if value is None else cell(stored(value))


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


def key_values(values: Mapping[str, object], indent: str = "  ") -> list[str]:
    """One aligned line for each."""
    width = max((len(key) for key in values), default=0)
    return [f"{indent}{key.ljust(width)}  {parameter(value)}" for key, value in values.items()]


def count_text(counts: Counts) -> str:
    """`22 complete, 9 pruned, 1 failed`, without what is zero."""
    named = {"complete": counts.complete, "pruned": counts.pruned, "failed": counts.failed}
    return ", ".join(f"{count} {name}" for name, count in named.items() if count) or "none finished"
