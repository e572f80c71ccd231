"""A checkpoint into the graph."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.assets import AssetPort
from engine.context import Context
from engine.errors import AssetMissing
from engine.node import Node, Output
from nodes.values import Model, TextEncoders, Vae, Weights

if TYPE_CHECKING:
    from nodes.sdxl.checkpoint import Checkpoint, Prediction


class CheckpointLoaded(Output):
    """The three parts of an SDXL checkpoint; none is loaded before it is used."""

    model: Model
    text_encoders: TextEncoders
    vae: Vae


class CheckpointLoader(Node[CheckpointLoaded]):
    """Open an SDXL checkpoint, a .safetensors file with UNet, text encoders and VAE.

    Reads its header only: native size, and whether it predicts noise or velocity. A file without a VAE needs the VAE
    node behind it. The cache goes by the content of the file, not by its name.
    """

    version: ClassVar[int] = 3

    checkpoint: Annotated[
        str, AssetPort("checkpoint"), Field(description="auto, nova-nano, a path, or a name in models.lock.")
    ] = "auto"
    prediction: Annotated[
        Literal["auto", "epsilon", "v_prediction"],
        Field(description="What the UNet predicts, for files that do not say so; auto: what the file says."),
    ] = "auto"
    zero_terminal_snr: Annotated[
        Literal["auto", "yes", "no"],
        Field(description="Whether it was trained down to pure noise; auto: what the file says."),
    ] = "auto"

    def run(self, ctx: Context) -> CheckpointLoaded:
        """Read the header; raises AssetRefused where the file is not an SDXL text-to-image checkpoint."""
        from nodes.sdxl.checkpoint import inspect_checkpoint

        found = ctx.asset("checkpoint")
        if found.path is None:
            raise AssetMissing(f"{self.checkpoint!r} names no checkpoint", hint="Write auto, a path, or a known name.")
        checkpoint = inspect_checkpoint(found.path)
        weights = Weights(found.sha256, found.path.name)
        model = Model(weights, checkpoint.size, *self._training(checkpoint))
        vae = Vae(weights, own=checkpoint.has_own_latents, missing=not checkpoint.has_vae)
        return CheckpointLoaded(model=model, text_encoders=TextEncoders(weights), vae=vae)

    def _training(self, checkpoint: "Checkpoint") -> "tuple[Prediction, bool]":
        """Return what the model predicts and whether its noise has zero terminal SNR."""
        prediction = checkpoint.prediction if self.prediction == "auto" else self.prediction
        # Where all is noise, a prediction of the noise tells nothing of the picture: the mark alone is a leftover.
        terminal = checkpoint.zero_terminal_snr and prediction == "v_prediction"
        return prediction, terminal if self.zero_terminal_snr == "auto" else self.zero_terminal_snr == "yes"
