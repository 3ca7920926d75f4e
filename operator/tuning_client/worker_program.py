"""Asks a program of the worker's side, which may load a study's data and models. Called by `fit` and `recommend`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tuning_client.exceptions import TuningError


def ask(module: str, request: object, folder: Path) -> Any:
    """The answer of `python -m module` to the request, both JSON. It runs in `folder`, from which paths of the manifest
    count, and imports modules from there. Raises TuningError with the last line that it said."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        (sys.executable, "-m", module),
        input=json.dumps(request),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        raise TuningError(said[-1] if said else f"the program ended with code {ended.returncode}")
    return json.loads(ended.stdout.splitlines()[-1])
