"""What a picture says of its graph: its own graph's words, also where another graph means the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from engine import Context, Node, Output
from engine.errors import NodeError, RegistryError
from engine.values import Json
from nodes.assets import read_settings
from nodes.library import built_in
from nodes.pictures.record import read_metadata
from nova_graph import Result, load, local_runtime, run

MINE = """\
nova: 1
description: What I would rather keep to myself.
inputs:
  edge: {type: integer, default: 16}
  file: {type: string}
nodes:
  load: {type: LoadImage, inputs: {picture: $inputs.file, width: $inputs.edge}}
  png:  {type: Serializer, inputs: {image: $load.image}}
outputs: {file: $png.file}
"""
YOURS = """\
nova: 1
inputs:
  photo: {type: string}
nodes:
  open: {type: LoadImage, inputs: {picture: $inputs.photo, width: 16}}
  save: {type: Serializer, inputs: {image: $open.image}}
outputs: {file: $save.file}
"""
REORDERED = """\
nova: 1
inputs:  # the same, in another order
  file: {type: string}
  edge: {default: 16, type: integer}
outputs: {file: $png.file}
nodes:
  png:  {inputs: {image: $load.image}, type: Serializer}
  load: {type: LoadImage, inputs: {width: $inputs.edge, picture: $inputs.file}}
description: What I would rather keep to myself.
"""


class Origin(Output):
    text: str


class Quote(Node[Origin]):
    """Say where it came from, without having said that it would."""

    def run(self, ctx: Context) -> Origin:
        return Origin(text=str(ctx.provenance.graph))


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Result]:
    """Run a graph on a runtime of its own, as a new process would; the cache folder is shared."""
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "NOVA_THREADS": "1"})

    def drawn(text: str, **inputs: Json) -> Result:
        path = tmp_path / "graph.yaml"
        path.write_text(text, encoding="utf-8")
        with local_runtime(settings=settings, registry=built_in().extended([Quote])) as runtime:
            return run(load(path, runtime=runtime).plan_with(inputs))

    return drawn


def ran(result: Result) -> list[str]:
    return [step.id for step in result.plan.to_run]


def test_a_picture_carries_its_own_graph_though_another_means_the_same(
    draw: Callable[..., Result], tmp_path: Path
) -> None:
    picture = str(tmp_path / "a.png")
    assert ran(draw(MINE, file=picture)) == ["load", "png"]
    yours = draw(YOURS, photo=picture)
    assert ran(yours) == ["save"]
    record = read_metadata(yours.files[0].data)
    assert record.inputs == {"photo": "a.png"}
    assert list(record.graph["nodes"]) == ["open", "save"]  # type: ignore[arg-type]
    assert b"rather keep" not in yours.files[0].data


def test_the_same_graph_in_another_order_is_a_full_hit(draw: Callable[..., Result], tmp_path: Path) -> None:
    picture = str(tmp_path / "a.png")
    first = draw(MINE, file=picture, edge=16)
    for text, inputs in (
        (MINE, {"edge": 16, "file": picture}),
        (MINE, {"file": picture}),
        (REORDERED, {"file": picture}),
    ):
        again = draw(text, **inputs)
        assert ran(again) == []
        assert again.files == first.files


def test_a_file_of_another_name_is_called_by_its_own(draw: Callable[..., Result], tmp_path: Path) -> None:
    draw(MINE, file=str(tmp_path / "a.png"))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    other = draw(MINE, file=str(tmp_path / "b.png"))
    assert ran(other) == ["png"]
    assert read_metadata(other.files[0].data).inputs == {"edge": 16, "file": "b.png"}


def test_a_node_that_does_not_say_that_it_writes_its_origin_gets_none(draw: Callable[..., Result]) -> None:
    with pytest.raises(NodeError, match=r"uses ctx\.provenance, which is not in its key") as caught:
        draw("nova: 1\nnodes: {q: {type: Quote}}\noutputs: {text: $q.text}\n")
    assert isinstance(caught.value.cause, RegistryError)
