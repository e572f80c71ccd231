"""Workflows of ComfyUI as graphs."""

from nova_graph.importing.comfy.translate import translate
from nova_graph.importing.comfy.workflow import read_workflow

__all__ = ["read_workflow", "translate"]
