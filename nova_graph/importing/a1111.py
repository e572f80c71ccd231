"""The generation parameters that A1111 writes into pictures, as a graph."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.values import Json
from nodes.samplers import sampler_of
from nova_graph.cli.exits import UsageError
from nova_graph.importing.draft import AUTO_FACES, Draft, Tree, literal, whole_steps

LATENT: Final = "Latent"
SAME: Final = "Use same"
"""How A1111 says that a second pass has the sampler, or the schedule, of the first."""

PLAIN_UPSCALERS: Final = ("None", "Lanczos", "Nearest")
"""Upscalers of A1111 that are no models; all become Lanczos here."""

NEGATIVE: Final = "Negative prompt:"
_MERGES: Final = {"Merge": "merge", "Merge and Invert": "invert"}
_KEEPS: Final = {"Area": "area", "Confidence": "confidence"}
_LIMITS: Final = ("ADetailer mask only top k", "ADetailer mask only top k largest")
"""What newer and older versions of ADetailer call it."""

_USED: Final = frozenset(
    {
        "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "VAE", "Clip skip",
        "Denoising strength", "TI hashes", "RNG", "Hires upscale", "Hires resize", "Hires steps", "Hires upscaler",
        "Hires CFG scale", "Hires sampler", "Hires schedule type",
    }
)  # fmt: skip
_HARMLESS: Final = frozenset(
    {
        "Model hash", "VAE hash", "Lora hashes", "Hashes", "Version", "User", "Init image hash", "Created Date",
        "Civitai resources", "Civitai metadata", "Template", "Negative Template", "Cache FP16 weight", "Pad conds",
    }
)  # fmt: skip
"""Fields that say nothing of how a picture is drawn that the others do not."""

USUAL_EMPHASIS: Final = ("Emphasis", "Original")
"""How A1111 weighs words unless told otherwise, and Encoder with `a1111`."""

_FAMILIES: Final = ("ADetailer ", "PAG ")
MOST_TOLD: Final = 20

LONGEST_NUMBER: Final = 20
"""Digits; those of the largest seed."""

_LORA: Final = re.compile(r"<lora:([^:<>]{1,200})(?::([^:<>]{1,40}))?(?::([^:<>]{1,40}))?>,?[ \t]?")
"""A1111 takes these out of the prompt before it is encoded."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What such a text says."""

    prompt: str
    negative: str
    fields: dict[str, str]

    def number(self, name: str) -> float | None:
        """Return a field as a number, None where it is not there or is none."""
        try:
            return float(self.fields[name])
        except (KeyError, ValueError):
            return None

    def whole(self, name: str) -> int | None:
        """Return a field as an integer, None where it is not there or is none."""
        return _whole(self.fields.get(name, ""))

    def signed(self, name: str) -> int | None:
        """Return a field as an integer that may be negative, None where it is not there or is none."""
        text = self.fields.get(name, "")
        size = _whole(text.removeprefix("-"))
        return -size if size is not None and text.startswith("-") else size


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def read_parameters(text: str) -> Parameters:
    """Read the text: a prompt, perhaps a negative one, and a line of fields; raises UsageError where that is missing.

    The form is that of `infotext_utils.py` in AUTOMATIC1111/stable-diffusion-webui; the time is linear in its length.
    """
    lines = text.strip().splitlines()
    fields = dict(_fields(lines[-1])) if lines else {}
    if "Steps" not in fields:
        raise UsageError("the picture's parameters do not end with a line `Steps: ..., Sampler: ...`")
    start = next((index for index, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines) - 1)
    negative = "\n".join(lines[start:-1]).removeprefix(NEGATIVE).strip()
    return Parameters("\n".join(lines[:start]).strip(), negative, fields)


def _fields(line: str) -> Iterator[tuple[str, str]]:
    at = 0
    while (colon := line.find(":", at)) >= 0:
        name = line[at:colon].rpartition(",")[2].strip()
        at = colon + 1
        while line[at : at + 1] == " ":
            at += 1
        if line[at : at + 1] == '"':
            try:
                value, at = json.JSONDecoder().raw_decode(line, at)
            except ValueError:
                return
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            value, at = line[at:end].strip(), end
        yield name, str(value)
        if line[at : at + 1] == ",":
            at += 1


def translate(parameters: Parameters, what: str, models: Path | None) -> Draft:
    """Return a graph that draws with these parameters; raises UsageError where one of them cannot be imported."""
    draft = Draft(f"Imported from {what} (A1111).", models)
    _Translator(parameters, draft).run()
    return draft


def _own_names(sampler: str, schedule: str) -> tuple[str, str]:
    """Return what a sampler and a schedule are called here; one that is not here keeps its name, and checking tells."""
    found = sampler_of(sampler, schedule)
    if found is not None:
        return found
    known, course = sampler_of(sampler, ""), sampler_of("Euler", schedule)
    return known[0] if known else sampler, course[1] if course else schedule


class _Translator:
    def __init__(self, parameters: Parameters, draft: Draft) -> None:
        self._said = parameters
        self._draft = draft
        self._model = self._text = self._vae = self._guidance = ""
        self._conditioning = ""

    def run(self) -> None:
        """Draw, and refine what was refined."""
        self._load()
        self._encode()
        image = self._draw()
        rest = [
            name
            for name in self._said.fields
            if name not in _USED
            and name not in _HARMLESS
            and not name.startswith(_FAMILIES)
            and (name, self._said.fields[name]) != USUAL_EMPHASIS
        ]
        if rest:
            self._draft.note(f"not imported, and perhaps missed: {', '.join(name[:40] for name in rest[:MOST_TOLD])}")
        if self._said.fields.get("RNG") != "CPU":
            self._draft.note("A1111 drew its noise on the GPU: the same seed gives another picture here")
        if self._said.fields.get("ADetailer model"):
            image = self._detail(image)
        self._draft.save(image)

    def _load(self) -> None:
        draft, fields = self._draft, self._said.fields
        name = draft.file("checkpoint", fields["Model"]) if fields.get("Model") else "auto"
        loader = draft.add("loader", "CheckpointLoader", {"checkpoint": draft.ask("checkpoint", "string", name)})
        self._model, self._text, self._vae = f"${loader}.model", f"${loader}.text_encoders", f"${loader}.vae"
        if fields.get("VAE") not in (None, "", "None", "Automatic"):
            override = literal(draft.file("vae", fields["VAE"]))
            self._vae = f"${draft.add('vae', 'VAE', {'bundled': self._vae, 'override': override})}.vae"
        for name, text, unet in _LORA.findall(self._said.prompt):
            self._add_lora(name, text, unet)

    def _add_lora(self, name: str, first: str, second: str) -> None:
        """Add a LoRA; of two strengths the first is that of the text encoders."""
        try:
            text = float(first) if first else 1.0
            unet = float(second) if second else text
        except ValueError:
            raise UsageError(f"the LoRA {name} has strengths that are no numbers: {first} {second}") from None
        ports: Tree = {
            "model": self._model,
            "text_encoders": self._text,
            "lora": literal(self._draft.file("lora", name)),
            "model_strength": unet,
            "text_strength": text,
        }
        lora = self._draft.add("lora", "LoRA", ports)
        self._model, self._text = f"${lora}.model", f"${lora}.text_encoders"

    def _encode(self) -> None:
        ask = self._draft.ask
        hashes = self._said.fields.get("TI hashes", "")
        self._text = self._draft.teach(
            self._text, (part.partition(":")[0].strip() for part in hashes.split(",") if ":" in part)
        )
        prompt = _LORA.sub("", self._said.prompt).strip(" ,\n")
        ports: Tree = {
            "text_encoders": self._text,
            "prompt": ask("prompt", "string", prompt),
            "negative": ask("negative", "string", self._said.negative),
            "weighting": "a1111",
            "clip_skip": self._said.whole("Clip skip"),
        }
        self._conditioning = f"${self._draft.add('encoder', 'Encoder', ports)}.conditioning"

    def _course(self) -> Tree:
        """Return the ports that every sampler of the picture has."""
        ask, said = self._draft.ask, self._said
        found = _own_names(said.fields.get("Sampler", ""), said.fields.get("Schedule type", ""))
        return {
            "cfg": ask("cfg", "number", said.number("CFG scale")),
            "sampler": ask("sampler", "string", found[0]),
            "schedule": ask("schedule", "string", found[1]),
            "seed": ask("seed", "seed", said.whole("Seed")),
        }

    def _draw(self) -> str:
        draft, said = self._draft, self._said
        larger, denoise = self._larger(), said.number("Denoising strength")
        course, steps = self._course(), said.whole("Steps")
        if said.number("PAG Scale"):
            self._guidance = f"${draft.add('pag', 'PAG', {'scale': said.number('PAG Scale')})}.guidance"
        size: Tree = {side: draft.ask(side, "integer", edge) for side, edge in self._size("Size").items()}
        asked: Tree = {"steps": draft.ask("steps", "integer", steps), **course}
        if denoise is not None and not larger:
            return self._redraw(size, asked, denoise)
        latents = self._sampled({**size, **asked})
        if denoise is None or not larger:
            return self._decoded(latents)
        again: Tree = {
            **course,
            **self._again(),
            "steps": whole_steps(said.whole("Hires steps") or steps, denoise),
            "denoise": draft.ask("denoise", "number", denoise),
        }
        return self._decoded(self._sampled({"latents": self._enlarged(latents, larger), **again}))

    def _again(self) -> Tree:
        """Return what a second pass has of its own."""
        said = self._said
        cfg = said.number("Hires CFG scale")
        own: Tree = {"cfg": cfg} if cfg is not None else {}
        sampler, schedule = said.fields.get("Hires sampler", SAME), said.fields.get("Hires schedule type", SAME)
        if not (sampler.startswith(SAME) and schedule.startswith(SAME)):
            sampler = said.fields.get("Sampler", "") if sampler.startswith(SAME) else sampler
            schedule = said.fields.get("Schedule type", "") if schedule.startswith(SAME) else schedule
            found = _own_names(sampler, schedule)
            own |= {"sampler": found[0], "schedule": found[1]}
        return own

    def _enlarged(self, latents: str, larger: Tree) -> str:
        """Enlarge latents as they are, or as a picture: with an upscaler, or with Lanczos."""
        name = self._said.fields.get("Hires upscaler", LATENT)
        if name.startswith(LATENT):
            method = "bicubic" if "bicubic" in name else "nearest-exact" if "nearest" in name else "bilinear"
            ports: Tree = {"latents": latents, **larger, "method": method}
            return f"${self._draft.add('enlarge', 'ResizeLatents', ports)}.latents"
        image = self._decoded(latents)
        if name in PLAIN_UPSCALERS or "scale" not in larger:
            resize = self._draft.add("resize", "ResizeImage", {"image": image, **larger})
            return self._encoded(f"${resize}.image")
        upscaler = literal(self._draft.file("upscaler", name))
        upscale = self._draft.add("upscale", "UpscaleImage", {"image": image, "upscaler": upscaler, **larger})
        return self._encoded(f"${upscale}.image")

    def _larger(self) -> Tree:
        """Return how the picture was enlarged before a second pass, nothing where there was none."""
        scale = self._said.number("Hires upscale")
        if scale is not None:
            return {"scale": self._draft.ask("scale", "number", scale)}
        return self._size("Hires resize")

    def _size(self, field: str) -> Tree:
        width, _, height = self._said.fields.get(field, "").partition("x")
        sides = {"width": width, "height": height}
        return {side: _whole(text) for side, text in sides.items() if _whole(text)}

    def _redraw(self, size: Tree, course: Tree, denoise: float) -> str:
        """Draw a picture again, which has to be given."""
        draft = self._draft
        draft.note("the picture was made from another one: give it with --picture")
        draft.inputs["picture"] = {"type": "string", "description": "The picture to start from: a path."}
        load = draft.add("load", "LoadImage", {"picture": "$inputs.picture", **size})
        latents = self._encoded(f"${load}.image")
        drawn = self._sampled({"latents": latents, "denoise": draft.ask("denoise", "number", denoise), **course})
        return self._decoded(drawn)

    def _encoded(self, image: str) -> str:
        return f"${self._draft.add('encode', 'EncodeImage', {'vae': self._vae, 'image': image})}.latents"

    def _sampled(self, ports: Tree) -> str:
        fixed: Tree = {"model": self._model, "conditioning": self._conditioning, "guidance": self._guidance or None}
        return f"${self._draft.add('sampler', 'Sampler', {**fixed, **ports})}.latents"

    def _decoded(self, latents: str) -> str:
        return f"${self._draft.add('decode', 'Decode', {'vae': self._vae, 'latents': latents})}.image"

    def _detail(self, image: str) -> str:
        draft, said = self._draft, self._said
        draft.note(AUTO_FACES)
        found: Tree = {
            "image": image,
            "confidence": said.number("ADetailer confidence"),
            "min_ratio": said.number("ADetailer mask min ratio"),
            "max_ratio": said.number("ADetailer mask max ratio"),
            "limit": next((limit for name in _LIMITS if (limit := said.whole(name)) is not None), None),
            "keep": _KEEPS.get(said.fields.get("ADetailer method to decide top k masks", "")),
        }
        detect = draft.add("detect", "DetectFaces", found)
        ports: Tree = {
            "image": image,
            "boxes": f"${detect}.boxes",
            "model": self._model,
            "vae": self._vae,
            "conditioning": self._face_conditioning(),
            "denoise": said.number("ADetailer denoising strength"),
            "steps": said.whole("ADetailer steps") or self._asked("steps"),
            "padding": said.whole("ADetailer inpaint padding"),
            "mask_blur": said.number("ADetailer mask blur"),
            "dilate": said.signed("ADetailer dilate erode"),
            "x_offset": said.signed("ADetailer x offset"),
            "y_offset": said.signed("ADetailer y offset"),
            "merge": _MERGES.get(said.fields.get("ADetailer mask merge invert", "")),
            "only_masked": False if said.fields.get("ADetailer inpaint only masked") == "False" else None,
            "cfg": said.number("ADetailer CFG scale") or self._asked("cfg"),
            "seed": self._asked("seed"),
            **self._face_course(),
        }
        return f"${draft.add('detail', 'FaceDetailer', ports)}.image"

    def _face_course(self) -> Tree:
        """Return the sampler and schedule of faces: their own, or those of the picture."""
        fields = self._said.fields
        schedule = fields.get("ADetailer scheduler") or fields.get("Schedule type", "")
        own = sampler_of(fields.get("ADetailer sampler", ""), schedule)
        if own is None:
            return {port: self._asked(port) for port in ("sampler", "schedule")}
        return {"sampler": own[0], "schedule": own[1]}

    def _asked(self, name: str) -> Json:
        return f"$inputs.{name}" if name in self._draft.inputs else None

    def _face_conditioning(self) -> str:
        prompt = self._said.fields.get("ADetailer prompt", "")
        if not prompt:
            return self._conditioning
        ports: Tree = {
            "text_encoders": self._text,
            "prompt": literal(prompt),
            "negative": literal(self._said.fields.get("ADetailer negative prompt") or self._said.negative),
            "weighting": "a1111",
        }
        return f"${self._draft.add('face', 'Encoder', ports)}.conditioning"
