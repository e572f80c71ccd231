"""A graph as Mermaid text, which GitHub and many editors draw."""

from collections.abc import Iterator

from nova_graph.cli.show.diagram import Card, Diagram


def mermaid_text(diagram: Diagram) -> str:
    """Return a flowchart; nodes of an included file stand in a box with its name."""
    names = {card.id: f"n{index}" for index, card in enumerate(diagram.cards)}
    lines = ["flowchart LR"]
    groups: dict[str, list[Card]] = {}
    for card in diagram.cards:
        groups.setdefault(card.id.rpartition("/")[0], []).append(card)
    for index, (group, cards) in enumerate(groups.items()):
        lines += [f'    subgraph g{index}["{_safe(group)}"]'] if group else []
        lines += [f"    {'    ' if group else ''}{_node(names[card.id], card)}" for card in cards]
        lines += ["    end"] if group else []
    lines += _arrows(diagram, names)
    return "\n".join(lines) + "\n"


def _arrows(diagram: Diagram, names: dict[str, str]) -> Iterator[str]:
    """Yield one arrow for each pair of cards, labelled with all that flows along it."""
    labels: dict[tuple[str, str], list[str]] = {}
    for wire in diagram.wires:
        flows = labels.setdefault((wire.source, wire.target), [])
        if wire.output not in flows:
            flows.append(wire.output)
    for (source, target), flows in labels.items():
        yield f'    {names[source]} -- "{_safe(", ".join(flows))}" --> {names[target]}'


def _node(name: str, card: Card) -> str:
    if not card.type:
        return f'{name}(["{_safe(card.inputs[0])}"])'
    return f'{name}["<b>{_safe(card.id.rpartition("/")[2])}</b><br/>{_safe(card.type)}"]'


def _safe(text: str) -> str:
    """Write what Mermaid would take for syntax as its character codes."""
    return "".join(letter if letter.isalnum() or letter in " ,./_-" else f"#{ord(letter)};" for letter in text)
