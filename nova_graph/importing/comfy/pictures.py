"""Pictures: loaded, decoded, made larger."""

from collections.abc import Callable
from typing import Final

from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.models import Models
from nova_graph.importing.comfy.parts import LatentPart
from nova_graph.importing.comfy.reader import Once, Reader, nothing
from nova_graph.importing.comfy.sizes import resized
from nova_graph.importing.comfy.workflow import ComfyNode, Link
from nova_graph.importing.draft import Draft, Tree, literal

METHODS: Final = {"nearest-exact": "nearest"}
"""Ways to resize that have another name here."""


class Pictures:
    """Translates whatever gives pictures or masks; `latents` and `refined` translate what they are made of."""

    def __init__(
        self,
        reader: Reader,
        draft: Draft,
        models: Models,
        latents: Callable[[Link], LatentPart],
        refined: Callable[[ComfyNode], str],
    ) -> None:
        self._read = reader
        self._draft = draft
        self._models = models
        self._latents = latents
        self._refined = refined
        self.image = Once(reader, self._make_image)
        self._loaded = Once(reader, self._make_loaded)

    def _make_image(self, node: ComfyNode) -> str:
        match node.type:
            case "VAEDecode":
                latents = self._latents(self._read.link(node, "samples"))
                if latents.ref is None:
                    raise UsageError(f"VAEDecode (node {node.id}) decodes what no sampler has drawn")
                ports: Tree = {"vae": self._models.vae(self._read.link(node, "vae")), "latents": latents.ref}
                return f"${self._draft.add('decode', 'Decode', ports)}.image"
            case "LoadImage":
                return f"${self._loaded(Link(node.id, 0))}.image"
            case "ImageScale" | "ImageScaleBy":
                method = self._read.value(node, "upscale_method")
                ports = {"image": self.image(self._read.link(node, "image")), **resized(self._read, node)}
                ports["method"] = METHODS.get(str(method), method)
                return f"${self._draft.add('resize', 'ResizeImage', ports)}.image"
            case "ImageUpscaleWithModel":
                loader = self._read.behind(node, "upscale_model")
                name = self._draft.file("upscaler", self._read.value(loader, "model_name"))
                ports = {"image": self.image(self._read.link(node, "image")), "upscaler": literal(name)}
                return f"${self._draft.add('upscale', 'UpscaleImage', ports)}.image"
            case "FaceDetailer":
                return self._refined(node)
        raise nothing("picture", node)

    def mask(self, link: Link) -> str:
        """Return the mask behind a link."""
        node = self._read.node(link)
        if node.type != "LoadImage":
            raise nothing("mask", node)
        return f"${self._loaded(link)}.mask"

    def _make_loaded(self, node: ComfyNode) -> str:
        name = self._draft.file("image", self._read.value(node, "image"))
        return self._draft.add("load", "LoadImage", {"picture": self._draft.ask("picture", "string", name)})
