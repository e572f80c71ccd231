"""One workflow in both of ComfyUI's forms: as its API takes it, and as its page saves it."""

from typing import Any

from engine.values import Json

PROMPT = "1girl, solo, (blue hair:1.2), smile, $5 #1 artist"
NEGATIVE = "lowres, worst quality"
Nodes = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def plain() -> Nodes:
    return {
        "3": node(
            "KSampler",
            seed=7,
            steps=4,
            cfg=5,
            sampler_name="euler",
            scheduler="karras",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="anime/nova-nano.safetensors"),
        "5": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "6": node("CLIPTextEncode", text=PROMPT, clip=["4", 1]),
        "7": node("CLIPTextEncode", text=NEGATIVE, clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }


def page() -> dict[str, Json]:
    """The same as `plain`, with a reroute, a held value, a muted save and a bypassed LoRA."""
    return {
        "last_node_id": 14,
        "nodes": [
            _page(4, "CheckpointLoaderSimple", ["anime/nova-nano.safetensors"], outputs=("MODEL", "CLIP", "VAE")),
            _page(10, "LoraLoader", ["ink.safetensors", 1, 1], ("MODEL", "CLIP"), model=1, clip=2, mode=4),
            _page(6, "CLIPTextEncode", [PROMPT], clip=3),
            _page(7, "CLIPTextEncode", [NEGATIVE], clip=3),
            _page(5, "EmptyLatentImage", [128, 128, 1]),
            _page(11, "PrimitiveNode", [7, "fixed"]),
            _page(
                3,
                "KSampler",
                [99, "randomize", 4, 5, "euler", "karras", 1.0],
                model=4,
                positive=5,
                negative=6,
                latent_image=7,
                seed=8,
            ),
            _page(12, "Reroute", None, anything=9),
            _page(8, "VAEDecode", [], samples=10, vae=11),
            _page(9, "SaveImage", ["ComfyUI"], images=12),
            _page(13, "SaveImage", ["again"], images=12, mode=2),
            _page(14, "Note", ["Remember the milk."]),
        ],
        "links": [
            [1, 4, 0, 10, 0, "MODEL"],
            [2, 4, 1, 10, 1, "CLIP"],
            [3, 10, 1, 6, 0, "CLIP"],
            [4, 10, 0, 3, 0, "MODEL"],
            [5, 6, 0, 3, 1, "CONDITIONING"],
            [6, 7, 0, 3, 2, "CONDITIONING"],
            [7, 5, 0, 3, 3, "LATENT"],
            [8, 11, 0, 3, 4, "INT"],
            [9, 3, 0, 12, 0, "*"],
            [10, 12, 0, 8, 0, "LATENT"],
            {"id": 11, "origin_id": 4, "origin_slot": 2, "target_id": 8, "target_slot": 1, "type": "VAE"},
            [12, 8, 0, 9, 0, "IMAGE"],
        ],
        "version": 0.4,
    }


def _page(
    number: int, kind: str, widgets: Json, outputs: tuple[str, ...] = ("*",), mode: int = 0, **links: int
) -> dict[str, Json]:
    types = {"model": "MODEL", "clip": "CLIP"}
    return {
        "id": number,
        "type": kind,
        "mode": mode,
        "widgets_values": widgets,
        "inputs": [{"name": name, "type": types.get(name, "*"), "link": link} for name, link in links.items()],
        "outputs": [{"name": name, "type": name, "links": []} for name in outputs],
    }
