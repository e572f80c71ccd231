"""How pictures and latents get another size."""

from nova_graph.importing.comfy.reader import Reader
from nova_graph.importing.comfy.workflow import ComfyNode
from nova_graph.importing.draft import Tree


def resized(reader: Reader, node: ComfyNode) -> Tree:
    """Return how a node of ComfyUI's resizes pictures or latents, as ports."""
    ports: Tree = {"method": reader.value(node, "upscale_method")}
    if node.type in ("ImageScaleBy", "LatentUpscaleBy"):
        return {**ports, "scale": reader.value(node, "scale_by")}
    crop = reader.value(node, "crop", "disabled") == "center"
    # A side of 0 follows the other one.
    sides: Tree = {port: reader.value(node, port) or None for port in ("width", "height")}
    return {**ports, **sides, "resize": "crop" if crop else "stretch"}
