"""A graph as SVG: one self-contained picture without scripts or fonts of its own."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from nova_graph.cli.show.diagram import Card, Diagram, Wire
from nova_graph.cli.show.layout import HEADER, PADDING, ROW, Layout, Place, lay_out, port_height

_MARGIN = 28
_TITLE = 34

_COLOURS = {
    "Model": "#8b6fd6",
    "TextEncoders": "#d9a404",
    "Vae": "#e05252",
    "Conditioning": "#ef8a17",
    "Guidance": "#b8578f",
    "Latents": "#d867c6",
    "Image": "#3f8fd9",
    "Mask": "#4da564",
    "Boxes": "#2a9d8f",
    "Files": "#5b6b7f",
}
_OTHER = "#7a8699"

_STYLE = """
    text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 11px; fill: #3b4657 }
    .title { font-size: 15px; font-weight: 600; fill: #1f2937 }
    .id { font-size: 12.5px; font-weight: 600; fill: #1f2937 }
    .type { fill: #6b7688 }
    .literal { fill: #6b7688 }
    .out { text-anchor: end }
    .card { fill: #ffffff; stroke: #cfd6e1 }
    .head { fill: #eef2f8 }
    .end { fill: #1f2937 }
    .end-name { fill: #ffffff; font-weight: 600; text-anchor: middle }
    .wire { fill: none; stroke-width: 2; stroke-linecap: round; opacity: 0.85 }
"""


def svg_text(diagram: Diagram) -> str:
    """Return the picture; colours tell the types of values."""
    layout = lay_out(diagram)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN + _TITLE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img">',
            f"  <title>{escape(diagram.title)}</title>",
            f"  <style>{_STYLE}  </style>",
            f'  <rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="#f7f9fc"/>',
            f'  <text class="title" x="{_MARGIN}" y="{_MARGIN + 8}">{escape(diagram.title)}</text>',
            f'  <g transform="translate({_MARGIN} {_MARGIN + _TITLE})">',
            *(f"    {part}" for part in _parts(diagram, layout)),
            "  </g>",
            "</svg>",
            "",
        ]
    )


def _parts(diagram: Diagram, layout: Layout) -> Iterator[str]:
    for wire, points in layout.routes:
        yield f'<path class="wire" stroke="{_colour(wire.type)}" d="{_curve(points)}"/>'
    types = {(wire.source, wire.output): wire.type for wire in diagram.wires}
    for place in layout.places.values():
        if place.card is None:
            continue
        inputs = {wire.input: wire for wire in diagram.wires if wire.target == place.card.id}
        yield from _card(place, place.card, inputs, types) if place.card.type else _end(place, place.card)


def _curve(points: tuple[tuple[float, float], ...]) -> str:
    """Return a path that leaves and enters every point level."""
    (x, y), *rest = points
    path = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        middle = (x + next_x) / 2
        path.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return " ".join(path)


def _card(place: Place, card: Card, inputs: dict[str, Wire], types: dict[tuple[str, str], str]) -> Iterator[str]:
    x, y, width = place.x, place.y, place.width
    yield f'<rect class="card" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{place.height:.1f}" rx="8"/>'
    yield (
        f'<path class="head" d="M{x + 0.5:.1f} {y + HEADER - 4:.1f} V{y + 8:.1f} q0 -7.5 7.5 -7.5 '
        f'H{x + width - 8:.1f} q7.5 0 7.5 7.5 V{y + HEADER - 4:.1f} Z"/>'
    )
    yield f'<text class="id" x="{x + PADDING:.1f}" y="{y + 16:.1f}">{escape(card.id)}</text>'
    yield f'<text class="type" x="{x + PADDING:.1f}" y="{y + 30:.1f}">{escape(card.type)}</text>'
    for name in card.inputs:
        level = y + port_height(card, wired=name)
        yield _dot(x, level, _colour(inputs[name].type))
        yield f'<text x="{x + PADDING:.1f}" y="{level + 4:.1f}">{escape(name)}</text>'
    for name in card.outputs:
        level = y + port_height(card, output=name)
        yield _dot(x + width, level, _colour(types.get((card.id, name), "")))
        yield f'<text class="out" x="{x + width - PADDING:.1f}" y="{level + 4:.1f}">{escape(name)}</text>'
    first = y + HEADER + ROW * max(len(card.inputs), len(card.outputs))
    for index, literal in enumerate(card.literals):
        level = first + ROW * (index + 0.5) + 4
        yield f'<text class="literal" x="{x + PADDING:.1f}" y="{level:.1f}">{escape(literal)}</text>'


def _end(place: Place, card: Card) -> Iterator[str]:
    yield (
        f'<rect class="end" x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" '
        f'height="{place.height:.1f}" rx="{place.height / 2:.1f}"/>'
    )
    middle = place.x + place.width / 2
    yield f'<text class="end-name" x="{middle:.1f}" y="{place.middle + 4:.1f}">{escape(card.inputs[0])}</text>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" stroke="#ffffff" stroke-width="1.5"/>'


def _colour(kind: str) -> str:
    return _COLOURS.get(kind.removesuffix(" or null"), _OTHER)
