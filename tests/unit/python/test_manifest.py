"""A Python function on its way to a cluster: as source, with all that it needs, or a word on what cannot go along."""

import linecache
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

import tuning
from tuning.source import source_files
from tuning.worker_image import check_imports
from tuning_study.documents import read_documents
from tuning_study.manifest import read_study

SPACE = {"x": (0.0, 1.0)}


def cell(source: str, name: str = "objective", **names: Any) -> Callable[..., Any]:
    """The function that a notebook's cell defines: its source is known to Python, as a kernel makes it known."""
    file = f"<cell {abs(hash(source))}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space: dict[str, Any] = {"__name__": "__main__", **names}
    exec(compile(source, file, "exec"), space)
    found: Callable[..., Any] = space[name]
    return found


def loaded(files: dict[str, str]) -> Callable[[Any], Any]:
    """What a worker calls, of files that stand alone."""
    space: dict[str, Any] = {"__name__": "tuning_function"}
    exec(files["tuning_function.py"], space)
    found: Callable[[Any], Any] = space["objective"]
    return found


def run(files: dict[str, str], **params: Any) -> Any:
    return loaded(files)(types.SimpleNamespace(params=params))


def test_a_function_takes_along_what_it_names() -> None:
    source = """\
def scaled(x):
    return np.float64(x) * FACTOR

class Model:
    def fit(self, x):
        return scaled(x)

def objective(params):
    assert SVC is not None
    return Model().fit(params["x"])
"""
    function = cell(source, FACTOR=3, np=np, SVC=SVC)
    files = source_files(function)
    assert list(files) == ["tuning_function.py"]
    assert files["tuning_function.py"].startswith("import numpy as np\n")
    assert "from sklearn.svm._classes import SVC" in files["tuning_function.py"]
    assert run(files, x=2) == 6


@pytest.mark.parametrize("name", ["objective", "train"])
@pytest.mark.parametrize("argument", ["params", "trial"])
def test_the_function_may_have_any_name_and_take_either_argument(name: str, argument: str) -> None:
    body = "params['x']" if argument == "params" else "trial.params['x']"
    assert run(source_files(cell(f"def {name}({argument}):\n    return {body}\n", name)), x=5) == 5


@pytest.mark.parametrize(
    ("source", "names", "said"),
    [
        ("def objective(params):\n    return data[0]\n", {"data": np.zeros(3)}, "uses data, a ndarray of this program"),
        ("objective = lambda params: 1.0\n", {}, "a lambda has no source of its own"),
        (
            "def outer():\n    y = 1\n    def fit(params):\n        return y\n    return fit\nobjective = outer()\n",
            {},
            "fit uses y of the function around it",
        ),
    ],
)
def test_what_cannot_go_along_is_told(source: str, names: dict[str, Any], said: str) -> None:
    with pytest.raises(tuning.WrongUse, match=said):
        source_files(cell(source, **names))


def test_a_function_of_a_module_goes_with_the_modules_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train_here.py").write_text("import data_here\n\ndef fit(params):\n    return data_here.y\n")
    (tmp_path / "data_here.py").write_text("y = 1.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert set(source_files(__import__("train_here").fit)) == {"data_here.py", "train_here.py", "tuning_function.py"}


def test_the_manifest_is_one_that_the_api_server_takes() -> None:
    study = tuning.Study(cell("def objective(params):\n    return 1.0\n"), parameters=SPACE, trials=3, name="mine")
    code, manifest = [document.content for document in read_documents(study.to_yaml())]
    assert code["kind"] == "ConfigMap"
    assert code["metadata"]["name"] == manifest["spec"]["objective"]["python"]["configMap"] == "mine-code"
    assert read_study(manifest)[1] == "mine"


def test_texts_that_kubectl_would_take_for_something_else_are_quoted() -> None:
    study = tuning.Study("m:f", parameters={"switch": ["on", "off"], "code": ["010", "1e3"]}, trials=1, name="mine")
    (manifest,) = [document.content for document in read_documents(study.to_yaml())]
    assert [parameter["values"] for parameter in manifest["spec"]["parameters"]] == [["on", "off"], ["010", "1e3"]]


TORCH = "def objective(params):\n    import torch\n    import numpy, sklearn.svm, json\n    return 1.0\n"


def test_a_package_that_the_workers_lack_is_told_before_they_start() -> None:
    with pytest.raises(tuning.WrongUse, match="the standard worker image has no torch: build an image from it"):
        check_imports(source_files(cell(TORCH)), {})


def test_an_image_of_ones_own_may_have_anything() -> None:
    check_imports(source_files(cell(TORCH)), {"image": "mine:1"})
