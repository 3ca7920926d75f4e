"""What of a study may change, and when."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from builders import MAXIMIZE, MINIMIZE, choice, make_study, real
from integration.harness import ControlPlane, Kube

from .manifests import Object
from .server import Server


class TestAStudyThatRuns:
    @pytest.fixture
    def study(self, server: Server, control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
        """Makes a study in a state; returns its name."""
        admin = Kube(control_plane.kubeconfig)
        made: list[str] = []

        def make(state: str | None, **fields: Any) -> str:
            name = f"study-{len(made)}"
            manifest = make_study(name, **({"parameters": [real(), choice("k", ["a", "b"])]} | fields))
            stored, why = server.create(manifest, dry_run=False)
            assert stored is not None, why
            made.append(name)
            if state is not None:
                admin.patch("TuningStudy", name, {"status": {"state": state}}, subresource="status")
            return name

        yield make
        for name in made:
            admin.delete("TuningStudy", name)
        admin.close()

    FIXED: dict[str, Object] = {
        "parameters": {"parameters": [real(high=2), choice("k", ["a", "b"])]},
        "a categorical value": {"parameters": [real(), choice("k", ["a", "c"])]},
        "metrics": {"metrics": [{**MAXIMIZE, "goal": 0.9}]},
        "constraints": {"constraints": [{"metric": "accuracy", "min": 0.5}]},
        "objective": {"objective": {"python": {"function": "package.module:other"}}},
        "strategy": {"strategy": {"sampler": {"type": "Random"}}},
        "a sampler option": {"strategy": {"sampler": {"type": "TPE", "options": {"nStartupTrials": 3}}}},
        "warmStart": {"warmStart": {"points": [{"x": 0.5}]}},
        "storage": {"storage": {"secretName": "mine"}},
        "seed": {"seed": 7},
    }
    FREE: dict[str, Object] = {
        "replicas": {"workers": {"replicas": 9}},
        "more trials": {"budget": {"trials": 99}},
        "fewer trials": {"budget": {"trials": 1}},
        "noImprovement": {"budget": {"noImprovement": 30}},
        "suspend": {"suspend": True},
        "retune": {"retune": {"cooldown": "1h"}},
        "deletionPolicy": {"deletionPolicy": "Retain"},
    }

    @pytest.mark.parametrize("state", ["Running", "Suspended"])
    @pytest.mark.parametrize("change", FIXED.values(), ids=FIXED)
    def test_keeps_what_is_fixed_for_its_round(
        self, server: Server, study: Callable[..., str], change: Object, state: str
    ) -> None:
        name = study(state, strategy={"sampler": {"type": "TPE"}})
        stored, why = server.patch(name, {"spec": change})
        assert stored is None, "the API server took the change"
        assert f"{next(iter(change))} is fixed while a round runs: set `suspend: true` first" in why

    @pytest.mark.parametrize("change", FREE.values(), ids=FREE)
    def test_follows_what_may_change(self, server: Server, study: Callable[..., str], change: Object) -> None:
        stored, why = server.patch(study("Running"), {"spec": change})
        assert stored is not None, why

    @pytest.mark.parametrize("state", ["Running", "Complete"])
    def test_may_choose_its_best_otherwise(self, server: Server, study: Callable[..., str], state: str) -> None:
        name = study(state, metrics=[MAXIMIZE, MINIMIZE])
        for selection in ({"policy": "Knee"}, {"policy": "Weighted", "weights": {"accuracy": 1}}, None):
            stored, why = server.patch(name, {"spec": {"selection": selection}})
            assert stored is not None, why

    @pytest.mark.parametrize("state", [None, "Pending", "Complete", "Failed"])
    def test_may_change_everything_when_it_does_not(
        self, server: Server, study: Callable[..., str], state: str | None
    ) -> None:
        name = study(state, strategy={"sampler": {"type": "TPE"}})
        for change in self.FIXED.values():
            stored, why = server.patch(name, {"spec": change})
            assert stored is not None, why

    def test_may_change_everything_once_it_is_suspended(self, server: Server, study: Callable[..., str]) -> None:
        name = study("Running")
        stored, why = server.patch(name, {"spec": {"suspend": True, **self.FIXED["parameters"]}})
        assert stored is None, f"suspension comes first: {why}"
        assert server.patch(name, {"spec": {"suspend": True}})[0] is not None
        stored, why = server.patch(name, {"spec": self.FIXED["parameters"]})
        assert stored is not None, why

    def test_is_scaled_as_deployments_are(self, server: Server, study: Callable[..., str]) -> None:
        name = study("Running")
        scale, why = server.patch(name, {"spec": {"replicas": 5}}, "/scale")
        assert scale is not None, why
        assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 5)
        stored, _ = server.patch(name, {"metadata": {"labels": {"a": "b"}}})
        assert stored is not None and stored["spec"]["workers"]["replicas"] == 5
