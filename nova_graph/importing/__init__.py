"""Graphs from elsewhere: a ComfyUI workflow, or a picture that says how it was made, as a graph file to edit."""

from nova_graph.importing.read import Imported, import_graph
from nova_graph.importing.yaml_text import graph_text

__all__ = ["Imported", "graph_text", "import_graph"]
