"""The generation parameters of a picture as the text that A1111 writes and CivitAI reads.

The form is what `infotext_utils.py` in AUTOMATIC1111/stable-diffusion-webui parses: the prompt, a line
`Negative prompt: ...`, and one line of `Name: value` pairs, values with commas, colons or line breaks in JSON quotes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast, get_args

from engine.provenance import Provenance
from engine.values import Json
from nodes.pictures.ancestry import Ancestor, Ancestry
from nodes.pictures.names import plain_name
from nodes.prompts import dialect_of, join_prompts, parse_prompt, place_embeddings
from nodes.samplers import SamplerName, ScheduleName, a1111_sampler, a1111_schedule

Defaults = Mapping[str, Mapping[str, Json]]
"""For each node type, the values of inputs that are left out."""

AUTOV2 = 10
"""CivitAI finds weights by the first ten hexadecimal digits of their sha256, which it calls AutoV2."""

_SEPARATE = {
    "ADetailer steps": "ADetailer use separate steps",
    "ADetailer CFG scale": "ADetailer use separate CFG scale",
}
"""Fields that ADetailer minds only where another one says so."""

_DETECTOR_FIELDS: dict[str, tuple[str, Json]] = {
    "ADetailer method to decide top k masks": ("keep", "area"),
    "ADetailer mask only top k": ("limit", 0),
    "ADetailer mask min ratio": ("min_ratio", 0.0),
    "ADetailer mask max ratio": ("max_ratio", 1.0),
}
_MASK_FIELDS: dict[str, tuple[str, Json]] = {
    "ADetailer x offset": ("x_offset", 0),
    "ADetailer y offset": ("y_offset", 0),
    "ADetailer mask merge invert": ("merge", "none"),
}
"""Fields with their ports, and the value that ADetailer leaves untold."""

_WORDS: dict[Json, Json] = {"confidence": "Confidence", "merge": "Merge", "invert": "Merge and Invert"}
"""What ADetailer calls a choice."""

_DETAILER_FIELDS = {
    "ADetailer dilate erode": "dilate",
    "ADetailer mask blur": "mask_blur",
    "ADetailer denoising strength": "denoise",
    "ADetailer inpaint only masked": "only_masked",
    "ADetailer inpaint padding": "padding",
    "ADetailer steps": "steps",
    "ADetailer CFG scale": "cfg",
}


def describe_parameters(
    provenance: Provenance, defaults: Defaults, *, size: tuple[int, int], seed: int | None, program: str
) -> str:
    """Return the text for a picture that ends this provenance, or nothing where no Sampler made it."""
    ancestry = Ancestry(provenance, defaults)
    ends = ancestry.ends()
    sampler = ancestry.nearest("Sampler", *ends)
    if sampler is None:
        return ""
    encoder = ancestry.nearest("Encoder", *ancestry.behind(sampler, "conditioning"))
    prompt, negative = _prompts(ancestry, encoder)
    prompt = " ".join(filter(None, (prompt, *_lora_tags(provenance, ancestry, sampler, encoder))))
    lines = [prompt, f"Negative prompt: {negative}"] if negative else [prompt]
    fields: dict[str, Json] = {}
    fields.update(_sampling(ancestry, sampler, size, seed))
    fields.update(_weights(provenance, ancestry, sampler, ends))
    fields.update(_controls(provenance, ancestry, sampler))
    fields.update(_encoding(ancestry, encoder))
    fields.update(_detailing(provenance, ancestry, encoder, ends))
    fields["Version"] = program
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in fields.items() if value not in (None, "")))
    return "\n".join(lines)


def _prompts(ancestry: Ancestry, encoder: Ancestor | None) -> tuple[str, str]:
    """Return the prompt and the negative prompt, each with what was put before it."""
    if encoder is None:
        return ("", "")
    texts = {port: ancestry.value(encoder, port) for port in ("prepend", "prompt", "negative_prepend", "negative")}
    plain = {port: text if isinstance(text, str) else "" for port, text in texts.items()}
    return (
        _harmless(join_prompts(plain["prepend"], plain["prompt"])),
        _harmless(join_prompts(plain["negative_prepend"], plain["negative"])),
    )


def _harmless(text: str) -> str:
    """Keep a prompt from being read as another field: control characters go, field names at risk get a space."""
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    text = re.sub(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f]", " ", text)
    text = text.replace("Negative prompt:", "Negative prompt :")
    return re.sub(r"^(\s*Steps):", r"\1 :", text, flags=re.MULTILINE).strip()


def _quoted(value: Json) -> str:
    text = _plain(value)
    if any(mark in text for mark in ',:\n"'):
        return json.dumps(_harmless(text), ensure_ascii=False)
    return _harmless(text)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _sampling(
    ancestry: Ancestry, sampler: Ancestor, size: tuple[int, int], seed: int | None
) -> Iterator[tuple[str, Json]]:
    yield "Steps", ancestry.value(sampler, "steps")
    name, schedule = ancestry.value(sampler, "sampler"), ancestry.value(sampler, "schedule")
    if name in get_args(SamplerName):
        yield "Sampler", a1111_sampler(cast(SamplerName, name), "normal")
    if schedule in get_args(ScheduleName):
        yield "Schedule type", a1111_schedule(cast(ScheduleName, schedule))
    yield "CFG scale", ancestry.value(sampler, "cfg")
    yield "Seed", seed if seed is not None else ancestry.value(sampler, "seed")
    yield "RNG", "CPU"
    yield "Size", f"{size[0]}x{size[1]}"
    if ancestry.behind(sampler, "latents"):
        yield "Denoising strength", ancestry.value(sampler, "denoise")
    guidance = ancestry.nearest("PAG", *ancestry.behind(sampler, "guidance"))
    if guidance is not None:
        yield "PAG Active", True
        yield "PAG Scale", ancestry.value(guidance, "scale")


def _weights(
    provenance: Provenance, ancestry: Ancestry, sampler: Ancestor, ends: list[str]
) -> Iterator[tuple[str, Json]]:
    """Name the files: the checkpoint that the sampler draws with, the nearest VAE, every LoRA, what prompts name."""
    nearest = list(dict.fromkeys(node.id for node in (*ancestry.along(sampler, "model"), *ancestry.before(*ends))))
    order = {name: index for index, name in enumerate(nearest)}
    assets = sorted(provenance.assets, key=lambda asset: order.get(str(asset.get("node")), len(order)))
    named = [asset for asset in assets if asset.get("sha256")]
    checkpoint = next((asset for asset in named if asset.get("kind") == "checkpoint"), None)
    if checkpoint is not None:
        yield "Model hash", _short_hash(checkpoint)
        yield "Model", _stem(_file_name(checkpoint))
    vae = next((asset for asset in named if asset.get("kind") == "vae"), None)
    if vae is not None:
        yield "VAE hash", _short_hash(vae)
        yield "VAE", _file_name(vae)
    loras = [asset for asset in named if asset.get("kind") == "lora"]
    if loras:
        yield "Lora hashes", ", ".join(f"{_adapter_name(lora)}: {_short_hash(lora)}" for lora in loras)
    embeddings = dict(_embeddings(ancestry, ends, {str(asset.get("node")): asset for asset in named}))
    if embeddings:
        yield "TI hashes", ", ".join(f"{word}: {sha}" for word, sha in embeddings.items())


def _embeddings(ancestry: Ancestry, ends: list[str], named: Mapping[str, dict[str, Json]]) -> Iterator[tuple[str, str]]:
    """Give the word and the short hash of every embedding that a prompt names, as A1111 lists what it used."""
    for encoder in (node for node in ancestry.before(*ends) if node.type == "Encoder"):
        taught = [node for node in ancestry.along(encoder, "text_encoders") if node.type == "Embedding"]
        words = {str(ancestry.value(node, "word")): node.id for node in taught if node.id in named}
        dialect = dialect_of(str(ancestry.value(encoder, "weighting")))
        for text in _prompts(ancestry, encoder):
            for section in place_embeddings(parse_prompt(text, dialect), words, dialect):
                for fragment in section:
                    if fragment.embedding:
                        yield fragment.embedding, _short_hash(named[words[fragment.embedding]])


def _lora_tags(
    provenance: Provenance, ancestry: Ancestry, sampler: Ancestor, encoder: Ancestor | None
) -> Iterator[str]:
    """Name the LoRAs of the sampler and its text encoders as A1111 has them in a prompt, the first of a chain first.

    Two strengths are that of the text encoders and that of the UNet.
    """
    files = {str(asset.get("node")): asset for asset in provenance.assets if asset.get("kind") == "lora"}
    on_model = {node.id: node for node in ancestry.along(sampler, "model")}
    on_text = {} if encoder is None else {node.id: node for node in ancestry.along(encoder, "text_encoders")}
    for name, node in reversed((on_model | on_text).items()):
        file = files.get(name)
        if node.type != "LoRA" or file is None or not file.get("sha256"):
            continue
        text = _strength(ancestry, node, "text_strength") if name in on_text else "0"
        model = _strength(ancestry, node, "model_strength") if name in on_model else "0"
        yield f"<lora:{_adapter_name(file)}:{text if text == model else f'{text}:{model}'}>"


def _strength(ancestry: Ancestry, lora: Ancestor, port: str) -> str:
    value = ancestry.value(lora, port)
    return _number(value) if isinstance(value, int | float) else "1"


def _controls(provenance: Provenance, ancestry: Ancestry, sampler: Ancestor) -> Iterator[tuple[str, Json]]:
    """Name the ControlNets of the sampler as sd-webui-controlnet does its units, the first of a chain first."""
    files = {str(asset.get("node")): asset for asset in provenance.assets if asset.get("kind") == "controlnet"}
    chain = [node for node in ancestry.along(sampler, "model") if node.type == "ControlNet"]
    known = [node for node in reversed(chain) if files.get(node.id, {}).get("sha256")]
    acting = [node for node in known if ancestry.value(node, "strength") != 0]
    for number, node in enumerate(acting):
        unit: dict[str, Json] = {
            "Module": "none",
            "Model": _adapter_name(files[node.id]),
            "Weight": ancestry.value(node, "strength"),
            "Resize Mode": "Just Resize",
            "Guidance Start": ancestry.value(node, "start"),
            "Guidance End": ancestry.value(node, "end"),
            "Control Mode": "Balanced",
        }
        told = (f"{name}: {_plain(value)}" for name, value in unit.items() if value is not None)
        yield f"ControlNet {number}", ", ".join(told)


def _plain(value: Json) -> str:
    return _number(value) if isinstance(value, float) else str(value)


def _short_hash(asset: dict[str, Json]) -> str:
    return str(asset["sha256"])[:AUTOV2]


def _file_name(asset: dict[str, Json]) -> str:
    return str(asset.get("file") or plain_name(str(asset.get("name", ""))))


def _adapter_name(asset: dict[str, Json]) -> str:
    return re.sub(r"[,:\"<>]", "_", _stem(_file_name(asset)))


def _stem(name: str) -> str:
    return re.sub(r"\.(safetensors|ckpt|pt)$", "", name, flags=re.IGNORECASE)


def _encoding(ancestry: Ancestry, encoder: Ancestor | None) -> Iterator[tuple[str, Json]]:
    if encoder is not None:
        yield "Clip skip", ancestry.value(encoder, "clip_skip")
        yield "Emphasis", {"a1111": "Original"}.get(str(ancestry.value(encoder, "weighting")))


def _detailing(
    provenance: Provenance, ancestry: Ancestry, encoder: Ancestor | None, ends: list[str]
) -> Iterator[tuple[str, Json]]:
    detailer = ancestry.nearest("FaceDetailer", *ends)
    if detailer is None:
        return
    detection = ancestry.nearest("DetectFaces", *ancestry.behind(detailer, "boxes"))
    if detection is not None:
        files = [_file_name(asset) for asset in provenance.assets if asset.get("node") == detection.id]
        yield "ADetailer model", files[0] if files else None
        yield "ADetailer confidence", ancestry.value(detection, "confidence")
        yield from _unusual(ancestry, detection, _DETECTOR_FIELDS)
    own = ancestry.nearest("Encoder", *ancestry.behind(detailer, "conditioning"))
    if own is not None and own != encoder:
        prompt, negative = _prompts(ancestry, own)
        yield "ADetailer prompt", prompt
        yield "ADetailer negative prompt", negative
    yield from _unusual(ancestry, detailer, _MASK_FIELDS)
    for label, port in _DETAILER_FIELDS.items():
        value = ancestry.value(detailer, port)
        if label in _SEPARATE and value is not None:
            yield _SEPARATE[label], True
        yield label, value


def _unusual(ancestry: Ancestry, node: Ancestor, fields: Mapping[str, tuple[str, Json]]) -> Iterator[tuple[str, Json]]:
    for label, (port, usual) in fields.items():
        value = ancestry.value(node, port)
        if value is not None and value != usual:
            yield label, _WORDS.get(value, value) if isinstance(value, str) else value
