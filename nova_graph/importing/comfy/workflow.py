"""ComfyUI's workflows, in both forms: what its API takes (and pictures carry as `prompt`), and what its page saves."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from engine.values import Json
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.trail import Trail


@dataclass(frozen=True, slots=True)
class Link:
    """An output of another node."""

    node: str
    slot: int


Given = Mapping[str, Json | Link]


@dataclass(frozen=True, slots=True)
class ComfyNode:
    """A node of a workflow."""

    id: str
    type: str
    inputs: Given

    def links(self) -> Iterator[Link]:
        """Return the outputs that it reads and that count here."""
        unread = UNREAD.get(self.type, ())
        return (value for port, value in self.inputs.items() if isinstance(value, Link) and port not in unread)


UNREAD: Final[Mapping[str, tuple[str, ...]]] = {
    "FaceDetailer": ("sam_model_opt", "segm_detector_opt", "detailer_hook", "scheduler_func_opt", "clip"),
}
"""What nodes are connected to that has no part in the graph."""

Workflow = Mapping[str, ComfyNode]

POWER_LORAS: Final = "Power Lora Loader (rgthree)"
"""A node with any number of LoRAs, one in each of its widgets."""

_CONTROL: Final = "*control after generate"
WIDGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "CannyEdgePreprocessor": ("low_threshold", "high_threshold", "resolution"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        "width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l",
    ),
    "ControlNetApply": ("strength",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "ControlNetLoader": ("control_net_name",),
    "DifferentialDiffusion": ("strength",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "FaceDetailer": (
        "guide_size", "guide_size_for", "max_size", "seed", _CONTROL, "steps", "cfg", "sampler_name", "scheduler",
        "denoise", "feather", "noise_mask", "force_inpaint", "bbox_threshold", "bbox_dilation", "bbox_crop_factor",
        "sam_detection_hint", "sam_dilation", "sam_threshold", "sam_bbox_expansion", "sam_mask_hint_threshold",
        "sam_mask_hint_use_negative", "drop_size", "wildcard", "cycle",
    ),
    "ImageCompositeMasked": ("x", "y", "resize_source"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    "ImageToMask": ("channel",),
    "KSampler": ("seed", _CONTROL, "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", _CONTROL, "steps", "cfg", "sampler_name", "scheduler", "start_at_step",
        "end_at_step", "return_with_leftover_noise",
    ),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "LoadImageMask": ("image", "channel"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "ModelSamplingDiscrete": ("sampling", "zsnr"),
    "PerturbedAttentionGuidance": ("scale",),
    "PrimitiveNode": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "RescaleCFG": ("multiplier",),
    "Seed (rgthree)": ("seed",),
    "SetUnionControlNetType": ("type",),
    "UltralyticsDetectorProvider": ("model_name",),
    "UpscaleModelLoader": ("model_name",),
    "VAELoader": ("vae_name",),
}  # fmt: skip
"""The order in which the page saves the values of a node's widgets, for the nodes that can be imported."""

_OFF: Final = 2
_BYPASSED: Final = 4


def read_workflow(text: str, what: str) -> Workflow:
    """Read a workflow in either form; raises UsageError, which calls the file `what`."""
    try:
        tree: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not JSON: {error}") from error
    if isinstance(tree, dict) and isinstance(tree.get("prompt"), dict):
        tree = tree["prompt"]
    if isinstance(tree, dict) and isinstance(tree.get("nodes"), list):
        return _from_page(tree, what)
    if isinstance(tree, dict):
        found = {name: node for name, node in tree.items() if isinstance(node, dict) and "class_type" in node}
        if found and len(found) == len(tree):
            return {name: _from_api(name, node) for name, node in found.items()}
    raise UsageError(f"{what} is no ComfyUI workflow", hint="Save it in ComfyUI with Export or Export (API).")


def _from_api(name: str, node: dict[str, Json]) -> ComfyNode:
    given = node.get("inputs")
    inputs = given if isinstance(given, dict) else {}
    return ComfyNode(name, _text(node["class_type"]), {port: _value(value) for port, value in inputs.items()})


def _value(value: Json) -> Json | Link:
    match value:
        case [str() | int() as node, int() as slot] if not isinstance(node, bool) and not isinstance(slot, bool):
            return Link(str(node), slot)
    return value


def _from_page(tree: dict[str, Json], what: str) -> Workflow:
    """Read what the page saves: links by number, values of widgets in their order."""
    nodes = [node for node in _list(tree.get("nodes")) if isinstance(node, dict)]
    ends = {}
    for link in _list(tree.get("links")):
        match link:
            case [int() as number, int() | str() as origin, int() as slot, *_]:
                ends[number] = Link(str(origin), slot)
            case {"id": int() as number, "origin_id": int() | str() as origin, "origin_slot": int() as slot}:
                ends[number] = Link(str(origin), slot)
    definitions = tree.get("definitions")
    if isinstance(definitions, dict) and definitions.get("subgraphs"):
        raise UsageError(f"{what} has subgraphs", hint="Save it in ComfyUI with Export (API), which unpacks them.")
    found = {_text(node.get("id")): _page_node(node, ends) for node in nodes if node.get("mode") != _OFF}
    bypassed = {_text(node.get("id")) for node in nodes if node.get("mode") == _BYPASSED}
    return _passed_over(found, bypassed, nodes, ends)


def _page_node(node: dict[str, Json], ends: Mapping[int, Link]) -> ComfyNode:
    kind = _text(node.get("type"))
    widgets = node.get("widgets_values")
    inputs: dict[str, Json | Link] = {}
    if isinstance(widgets, dict):
        inputs.update(widgets)
    elif isinstance(widgets, list) and kind == POWER_LORAS:
        inputs.update((f"lora_{number}", widget) for number, widget in enumerate(widgets))
    elif isinstance(widgets, list):
        inputs.update(zip(WIDGETS.get(kind, ()), widgets, strict=False))
    inputs.update({name: link for name, _, link in _wired(node, ends)})
    return ComfyNode(_text(node.get("id")), kind, inputs)


def _wired(node: dict[str, Json], ends: Mapping[int, Link]) -> Iterator[tuple[str, Json, Link]]:
    """Return the inputs of a node that are connected: name, type and what they read."""
    for port in _list(node.get("inputs")):
        if isinstance(port, dict) and isinstance(number := port.get("link"), int) and number in ends:
            yield _text(port.get("name")), port.get("type"), ends[number]


def _passed_over(
    found: dict[str, ComfyNode], bypassed: set[str], nodes: list[dict[str, Json]], ends: Mapping[int, Link]
) -> dict[str, ComfyNode]:
    """Lead links around bypassed nodes: an output gives what the first input of its type gets."""
    around: dict[Link, Link] = {}
    for node in nodes:
        if _text(node.get("id")) in bypassed:
            first: dict[str, Link] = {}
            for _, kind, link in _wired(node, ends):
                first.setdefault(_text(kind), link)
            for slot, output in enumerate(_list(node.get("outputs"))):
                kind = _text(output.get("type")) if isinstance(output, dict) else ""
                if kind in first:
                    around[Link(_text(node.get("id")), slot)] = first[kind]
    end = Trail(around.get).end
    return {
        name: ComfyNode(
            node.id,
            node.type,
            {port: end(value) if isinstance(value, Link) else value for port, value in node.inputs.items()},
        )
        for name, node in found.items()
        if name not in bypassed
    }


def _text(value: Json) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
