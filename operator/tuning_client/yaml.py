"""Writes YAML that means the same to every reader, kubectl among them. Called by `-o yaml` and by Study.to_yaml."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.scalarstring import LiteralScalarString

from tuning_study.documents import is_text


class _Representer(SafeRepresenter):
    """Quotes text that kubectl and other readers of YAML 1.1 would take for something else."""

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if is_text(data) else '"')

    def represent_lines(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|")


_Representer.add_representer(str, _Representer.represent_str)
_Representer.add_representer(LiteralScalarString, _Representer.represent_lines)


def as_yaml(data: Any, *, ascii_only: bool = False) -> str:
    """One document, without a line end. A LiteralScalarString in it stays in lines."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = not ascii_only
    yaml.width = 4096
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue().removesuffix("\n").removesuffix("\n...")


def as_flow(data: Any) -> str:
    """A mapping or a list in one line, as a manifest has its small parts: {name: C, min: 0.1}."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    yaml.width = 4096
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue().removesuffix("\n").removesuffix("\n...")
