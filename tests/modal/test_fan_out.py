"""Several containers at once: a sweep spreads over them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.modal.cloud import ARTIST, Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.control_plane.waiting import wait_for

FLAGS = (
    "--checkpoint",
    "nova-nano",
    "--no-face",
    "--pag-scale",
    "0",
    "--steps",
    "60",
    "--width",
    "256",
    "--height",
    "256",
)


@pytest.fixture
def room_for_two(plane: ControlPlane) -> Iterator[None]:
    plane.scale_down(ARTIST)
    plane.containers.room[ARTIST] = 2
    yield
    del plane.containers.room[ARTIST]
    plane.scale_down(ARTIST)


@pytest.mark.usefixtures("room_for_two")
def test_the_runs_of_a_sweep_go_to_as_many_containers_as_there_are(
    deployed: Cloud, plane: ControlPlane, out: Path
) -> None:
    before = set(plane.calls.calls)
    words = ("run", "graphs/default.yaml", "--on", "modal", *FLAGS, "--sweep", "seed=41,42", "--out", str(out))
    process = deployed.begin("nova-graph", *words)

    def tasks() -> set[str]:
        calls = [call for key, call in list(plane.calls.calls.items()) if key not in before]
        drawing = [call for call in calls if plane.functions.functions[call.function_id].name == ARTIST]
        return {given.task for call in drawing for given in call.inputs if given.task and not given.is_over}

    wait_for(lambda: len(tasks()) == 2, "two containers to draw at the same time")
    told, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert [path.rpartition("-")[2] for path in told.split()] == ["seed41.png", "seed42.png"]
    assert "2 GPU calls in all: " in error
    assert len(list(out.iterdir())) == 2
