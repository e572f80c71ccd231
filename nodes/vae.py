"""Which VAE to use."""

from typing import Annotated, ClassVar

from pydantic import Field

from engine.assets import AssetPort
from engine.context import Context
from engine.node import Node, Output
from nodes.values import Vae, Weights

FP16_FIX = frozenset(
    {
        "235745af8d86bf4a4c1b5b4f529868b37019a10f7c0b2e79ad0abca3a22bc6e1",
        "1b909373b28f2137098b0fd9dbc6f97f8410854f31f84ddc9fa04b077b0ace2c",
    }
)
"""sha256 of both layouts of huggingface.co/madebyollin/sdxl-vae-fp16-fix, which stays finite in half precision."""


class VaeChosen(Output):
    """The VAE for encoding and decoding."""

    vae: Vae


class VAE(Node[VaeChosen]):
    """Choose the VAE: the one in the checkpoint, or another in its place.

    `auto` takes the fp16-fix VAE where it is available, else the checkpoint's own, and always the own one of a
    checkpoint whose latents are not SDXL's, such as nova-nano; `none` keeps the checkpoint's own.
    """

    version: ClassVar[int] = 1

    bundled: Vae
    override: Annotated[str, AssetPort("vae"), Field(description="auto, none, a path, or a name in models.lock.")] = (
        "auto"
    )

    def run(self, ctx: Context) -> VaeChosen:
        """Read the header of the other VAE, if there is one; raises AssetRefused where it is none or none is left."""
        from nodes.sdxl.checkpoint import inspect_vae

        found = ctx.asset("override")
        if found.path is None or (self.override == "auto" and self.bundled.own):
            self.bundled.require()
            return VaeChosen(vae=self.bundled)
        inspect_vae(found.path)
        weights = Weights(found.sha256, found.path.name)
        return VaeChosen(vae=Vae(weights, bundled=False, half=found.sha256 in FP16_FIX))
