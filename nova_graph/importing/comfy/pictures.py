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
        self.mask = Once(reader, self._make_mask)
        self._loaded = Once(reader, self._make_loaded)

    def _make_image(self, node: ComfyNode) -> str:
        makers: dict[str, Callable[[ComfyNode], str]] = {
            "VAEDecode": self._decoded,
            "LoadImage": lambda node: f"${self._loaded(Link(node.id, 0))}.image",
            "ImageScale": self._scaled,
            "ImageScaleBy": self._scaled,
            "ImageUpscaleWithModel": self._upscaled,
            "ImageInvert": self._prepared,
            "CannyEdgePreprocessor": self._prepared,
            "ImageCompositeMasked": self._composed,
            "FaceDetailer": self._refined,
        }
        if node.type not in makers:
            raise nothing("picture", node)
        return makers[node.type](node)

    def _decoded(self, node: ComfyNode) -> str:
        latents = self._latents(self._read.link(node, "samples"))
        if latents.ref is None:
            raise UsageError(f"VAEDecode (node {node.id}) decodes what no sampler has drawn")
        ports: Tree = {"vae": self._models.vae(self._read.link(node, "vae")), "latents": latents.ref}
        return f"${self._draft.add('decode', 'Decode', ports)}.image"

    def _scaled(self, node: ComfyNode) -> str:
        method = self._read.value(node, "upscale_method")
        ports: Tree = {"image": self.image(self._read.link(node, "image")), **resized(self._read, node)}
        ports["method"] = METHODS.get(str(method), method)
        return f"${self._draft.add('resize', 'ResizeImage', ports)}.image"

    def _upscaled(self, node: ComfyNode) -> str:
        loader = self._read.behind(node, "upscale_model")
        name = self._draft.file("upscaler", self._read.value(loader, "model_name"))
        ports: Tree = {"image": self.image(self._read.link(node, "image")), "upscaler": literal(name)}
        return f"${self._draft.add('upscale', 'UpscaleImage', ports)}.image"

    def _prepared(self, node: ComfyNode) -> str:
        """Return what is made of a picture for a ControlNet."""
        image = self.image(self._read.link(node, "image"))
        if node.type == "ImageInvert":
            return f"${self._draft.add('invert', 'Invert', {'image': image})}.image"
        ports: Tree = {
            "image": image,
            "low": self._read.value(node, "low_threshold", 100),
            "high": self._read.value(node, "high_threshold", 200),
        }
        self._draft.note("Canny finds edges in the picture as it is, not at the resolution of CannyEdgePreprocessor")
        return f"${self._draft.add('edges', 'Canny', ports)}.image"

    def _make_mask(self, node: ComfyNode) -> str:
        match node.type:
            case "LoadImage":
                return f"${self._loaded(Link(node.id, 0))}.mask"
            case "LoadImageMask":
                loaded = self._loaded(Link(node.id, 0))
                if self._read.value(node, "channel") == "alpha":
                    return f"${loaded}.mask"
                return self._brightness(f"${loaded}.image")
            case "ImageToMask":
                return self._brightness(self.image(self._read.link(node, "image")))
        raise nothing("mask", node)

    def _brightness(self, image: str) -> str:
        self._draft.note("masks are the brightness of their pictures here, not one of their colours")
        return f"${self._draft.add('mask', 'MaskFromImage', {'image': image})}.mask"

    def _composed(self, node: ComfyNode) -> str:
        if (self._read.value(node, "x", 0), self._read.value(node, "y", 0)) != (0, 0) or "mask" not in node.inputs:
            raise UsageError(f"ImageCompositeMasked (node {node.id}) can be imported with a mask and at 0, 0 only")
        ports: Tree = {
            "below": self.image(self._read.link(node, "destination")),
            "above": self.image(self._read.link(node, "source")),
            "mask": self.mask(self._read.link(node, "mask")),
            "blur": 0,
        }
        return f"${self._draft.add('paste', 'Composite', ports)}.image"

    def _make_loaded(self, node: ComfyNode) -> str:
        name = self._draft.file("image", self._read.value(node, "image"))
        return self._draft.add("load", "LoadImage", {"picture": self._draft.ask("picture", "string", name)})
