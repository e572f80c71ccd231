"""Weights that no GPU is started for: their headers tell that they are not what a graph takes them for."""

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.errors import AssetError
from engine.plan import Plan, placed
from nodes.checkpoint_loader import CheckpointLoader
from nodes.controlnet import ControlNet
from nodes.embedding import Embedding
from nodes.lora import LoRA
from nodes.sdxl.checkpoint import inspect_checkpoint
from nodes.sdxl.control_file import inspect_control_net
from nodes.sdxl.embedding_file import inspect_embedding
from nodes.sdxl.lora_file import inspect_lora

_LOOKS: Mapping[type, tuple[str, Callable[[Path], object]]] = {
    CheckpointLoader: ("checkpoint", inspect_checkpoint),
    LoRA: ("lora", inspect_lora),
    Embedding: ("embedding", inspect_embedding),
    ControlNet: ("controlnet", inspect_control_net),
}
"""The port of a node type with the file, and what the node does first with it; neither needs torch."""


def refuse_unfit(plan: Plan) -> None:
    """Raise what the loading nodes that are left to run would raise of their files: AssetMissing, AssetRefused."""
    for step in plan.to_run:
        port, look = _LOOKS.get(step.node.declaration.cls, ("", None))
        found = plan.found.get((step.id, port))
        if look is None or found is None or found.path is None:
            continue
        try:
            look(found.path)
        except AssetError as error:
            raise placed(error, step.node, port) from error
