"""A graph as a picture: Mermaid text and SVG."""

from nova_graph.cli.show.diagram import diagram_of
from nova_graph.cli.show.mermaid import mermaid_text
from nova_graph.cli.show.svg import svg_text

__all__ = ["diagram_of", "mermaid_text", "svg_text"]
