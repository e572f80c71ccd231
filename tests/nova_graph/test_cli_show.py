"""Graphs as Mermaid text and SVG."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.bind import bind
from engine.bound import Bound
from engine.openers import FolderOpener
from engine.parse import parse
from nodes.library import built_in
from nova_graph.cli.show import diagram_of, mermaid_text, svg_text
from nova_graph.cli.show.layout import lay_out

GRAPHS = Path(__file__).parent.parent.parent / "graphs"
SHIPPED = sorted(GRAPHS.glob("*.yaml"))

SMALL = """\
nova: 1
nodes:
  load: {type: LoadImage, inputs: {picture: '</text><script>alert("1")</script>', width: 64}}
  in/small: {type: ResizeImage, inputs: {image: $load.image}}
outputs: {picture: $in/small.image}
"""


def bound(text: str | bytes, name: str = "small.yaml") -> Bound:
    return bind(parse(text, name), built_in(), {}, opener=FolderOpener(GRAPHS))


def shipped(path: Path) -> Bound:
    graph = parse(path.read_bytes(), str(path))
    given = {name: "cat.png" for name, declared in graph.inputs.items() if not declared.has_default}
    return bind(graph, built_in(), given, opener=FolderOpener(GRAPHS))


def test_mermaid_has_a_box_for_each_included_file() -> None:
    assert mermaid_text(diagram_of(bound(SMALL), "small")).splitlines() == [
        "flowchart LR",
        '    n0["<b>load</b><br/>LoadImage"]',
        '    n2(["picture"])',
        '    subgraph g1["in"]',
        '        n1["<b>small</b><br/>ResizeImage"]',
        "    end",
        '    n0 -- "image" --> n1',
        '    n1 -- "image" --> n2',
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_graph_becomes_whole_svg(path: Path) -> None:
    graph = shipped(path)
    root = ElementTree.fromstring(svg_text(diagram_of(graph, path.name)))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    for node in graph.nodes:
        assert node.id in texts
        assert node.declaration.name in texts
    wires = [element for element in root.iter() if element.get("class") == "wire"]
    assert len(wires) == len(diagram_of(graph, "").wires)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_cards_never_overlap_and_wires_lead_to_the_right(path: Path) -> None:
    diagram = diagram_of(shipped(path), path.name)
    layout = lay_out(diagram)
    places = list(layout.places.values())
    for index, one in enumerate(places):
        for other in places[index + 1 :]:
            beside = one.x + one.width <= other.x or other.x + other.width <= one.x
            above = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert beside or above
    for wire, points in layout.routes:
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        assert points[0][0] == layout.places[wire.source].x + layout.places[wire.source].width
        assert points[-1][0] == layout.places[wire.target].x


def test_texts_of_strangers_stay_texts() -> None:
    diagram = diagram_of(bound(SMALL), '<b>&"title"')
    root = ElementTree.fromstring(svg_text(diagram))
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert '<b>&"title"' in [element.text for element in root.iter()]
    assert "<b>&" not in mermaid_text(diagram)


def test_the_same_graph_gives_the_same_picture() -> None:
    path = GRAPHS / "fast.yaml"
    texts = {svg_text(diagram_of(bound(path.read_bytes().replace(b"random", b"7"), str(path)), "f")) for _ in range(2)}
    assert len(texts) == 1
