"""Writes the Grafana dashboards of the chart into a folder: of one study, of all studies, and of the operator itself.

`make generate` runs it; tests/contract/test_dashboards.py runs each query against a Prometheus. Every panel answers a
question.
"""

import sys
from pathlib import Path

import of_fleet
import of_operator
import of_study
from grafana_foundation_sdk.cog.encoder import JSONEncoder


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, module in (("study", of_study), ("fleet", of_fleet), ("operator", of_operator)):
        text = JSONEncoder(sort_keys=True, indent=1).encode(module.build().build())
        (folder / f"{name}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
