"""The Impact Pack's FaceDetailer: faces found, cut out, drawn again."""

import re
from collections.abc import Callable
from typing import Final

from engine.values import Json
from nova_graph.importing.comfy.models import Models
from nova_graph.importing.comfy.reader import Reader
from nova_graph.importing.comfy.sampling import sampler_name, seed_of
from nova_graph.importing.comfy.texts import Texts
from nova_graph.importing.comfy.workflow import ComfyNode, Link
from nova_graph.importing.draft import AUTO_FACES, Draft, Tree, literal, whole_steps

PADDING: Final = 128
"""Pixels around a face, at 1024; the usual face and three times its box come to about that."""

MOST_CYCLES: Final = 10
"""As many as the Impact Pack allows."""

_MORE_THAN_TEXT: Final = re.compile(r"[\[{<]|__")
"""What a wildcard text has that is more than a prompt: choices, files, LoRAs, parts for several faces."""


class Faces:
    """Translates FaceDetailer; `image` translates the picture that it refines."""

    def __init__(
        self, reader: Reader, draft: Draft, models: Models, texts: Texts, image: Callable[[Link], str]
    ) -> None:
        self._read = reader
        self._draft = draft
        self._models = models
        self._texts = texts
        self._image = image

    def refined(self, node: ComfyNode) -> str:
        """Return the picture with its faces refined, once for each cycle."""
        image, ask = self._image(self._read.link(node, "image")), self._draft.ask
        model = self._models.model(self._read.link(node, "model"))
        denoise = self._read.value(node, "denoise", 0.5)
        fixed: Tree = {
            "boxes": self._boxes(node, image),
            "model": model.ref,
            "vae": self._models.vae(self._read.link(node, "vae")),
            "conditioning": self._texts.encoded(node, self._prompt(node)).conditioning,
            "guidance": model.guidance,
            "denoise": ask("face_denoise", "number", denoise),
            "steps": whole_steps(self._read.value(node, "steps"), denoise),
            "cfg": self._read.value(node, "cfg"),
            "rescale": model.rescale,
            "sampler": literal(sampler_name(self._read, node)),
            "schedule": literal(self._read.value(node, "scheduler")),
            "padding": PADDING,
            "mask_blur": self._read.value(node, "feather", 5),
            "dilate": self._read.value(node, "bbox_dilation", 10),
        }
        self._draft.note(f"faces are drawn with {PADDING} pixels around them, not with a multiple of their box")
        if any(isinstance(node.inputs.get(port), Link) for port in ("sam_model_opt", "segm_detector_opt")):
            self._draft.note("faces are masked by their boxes here, not by their outline")
        seed, cycles = seed_of(self._read, node, "seed"), self._read.value(node, "cycle", 1)
        asked = self._draft.ask_seed("face_seed", seed)
        for cycle in range(min(max(cycles, 1), MOST_CYCLES) if isinstance(cycles, int) else 1):
            # A seed that is drawn is that of all cycles: graphs do not add.
            own: Json = seed + cycle if cycle and isinstance(seed, int) else asked
            ports: Tree = {"image": image, **fixed, "seed": own}
            image = f"${self._draft.add('detail', 'FaceDetailer', ports)}.image"
        return image

    def _boxes(self, node: ComfyNode, image: str) -> str:
        name = self._read.value(self._read.behind(node, "bbox_detector"), "model_name")
        ports: Tree = {
            "image": image,
            "detector": self._detector(name),
            "confidence": self._read.value(node, "bbox_threshold", 0.5),
        }
        return f"${self._draft.add('detect', 'DetectFaces', ports)}.boxes"

    def _detector(self, name: Json) -> Json:
        if isinstance(name, str) and "face" in name.lower():
            self._draft.note(AUTO_FACES)
            return None
        return literal(self._draft.file("detector", name))

    def _prompt(self, node: ComfyNode) -> str:
        text = self._read.value(node, "wildcard", "")
        if not isinstance(text, str) or not _MORE_THAN_TEXT.search(text):
            return text.strip() if isinstance(text, str) else ""
        self._draft.note(f"the wildcard text of FaceDetailer (node {node.id}) is more than a prompt; it is left out")
        return ""
