import pytest

from tuning_client import removal
from tuning_client.exceptions import WrongUse
from tuning_client.target import Target


def test_a_name_is_no_pattern() -> None:
    assert removal.matching(Target(namespace="team"), "digits") == ["digits"]


def test_patterns_are_for_studies_of_this_machine() -> None:
    with pytest.raises(WrongUse, match=r"digits-\*: patterns are for studies of this machine; on a cluster name one"):
        removal.matching(Target(namespace="team"), "digits-*")
