"""Prints what a command found: a table for people, JSON or YAML for scripts."""

import json
import pprint
import shlex
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tuning_report.format import visible


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class BestFormat(StrEnum):
    """Format, and what can be pasted into a program or a shell."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    PYTHON = "python"
    ENV = "env"


def render_best(form: BestFormat, best: Mapping[str, Any], table: str) -> str:
    """The best trial; as `python` and `env` its parameters alone."""
    from tuning_study.api.objective import variable

    match form:
        case BestFormat.PYTHON:
            return visible(pprint.pformat(dict(best["parameters"]), sort_dicts=False, width=100))
        case BestFormat.ENV:
            return visible("\n".join(f"TUNING_PARAM_{variable(k)}={_shell(v)}" for k, v in best["parameters"].items()))
        case _:
            return render(Format(form.value), best, table)


def _shell(value: Any) -> str:
    """As the worker gives it to a command: text as it is, all else as JSON."""
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))


def render(form: Format, data: Any, table: str) -> str:
    """`data` for scripts, or `table` for people, without a line end."""
    match form:
        case Format.TABLE:
            return visible(table)
        case Format.JSON:
            return visible(json.dumps(data, indent=2, ensure_ascii=False))
        case Format.YAML:
            from tuning_client.yaml import as_yaml

            text = as_yaml(data)
            return text if visible(text) == text else as_yaml(data, ascii_only=True)
