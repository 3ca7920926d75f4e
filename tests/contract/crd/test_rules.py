"""What the resource takes, what it refuses, and with which words.

A wrong manifest is refused by the API server and by our own models alike, so that nobody learns of a fault from a pod's
log. What CEL cannot see is refused by the models alone, which the operator tells in the Accepted condition.
"""

import pytest

from builders import make_study
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_study

from .manifests import BOTH, CODE_ONLY, RIGHT, Object
from .server import Server


def refused_by_code(manifest: Object) -> str:
    with pytest.raises(InvalidStudy) as refused:
        read_study(manifest)
    return str(refused.value)


@pytest.mark.parametrize("spec", RIGHT.values(), ids=RIGHT)
def test_a_right_study_is_taken_by_both_and_kept_as_written(server: Server, spec: Object) -> None:
    manifest = make_study() | {"spec": spec}
    stored, why = server.create(manifest)
    assert stored is not None, why
    assert read_study(stored)[2] == read_study(manifest)[2]


@pytest.mark.parametrize(("manifest", "message"), BOTH.values(), ids=BOTH)
def test_a_wrong_study_is_refused_by_both_with_what_to_do(server: Server, manifest: Object, message: str) -> None:
    stored, why = server.create(manifest)
    assert stored is None, "the API server took it"
    assert message in why
    assert message in refused_by_code(manifest)


@pytest.mark.parametrize(("manifest", "message"), CODE_ONLY.values(), ids=CODE_ONLY)
def test_what_cel_cannot_see_is_refused_by_the_models(server: Server, manifest: Object, message: str) -> None:
    stored, why = server.create(manifest)
    assert stored is not None, f"the API server refuses it too: move it up ({why})"
    assert message in refused_by_code(stored)
