"""A LoRA on a model."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from engine.assets import AssetPort
from engine.context import Context
from engine.node import Node, Output
from nodes.values import Lora, Model, TextEncoders, Weights

Strength = Annotated[float, Field(ge=-10, le=10)]


class LoraApplied(Output):
    """The model and text encoders with the LoRA added."""

    model: Model
    text_encoders: TextEncoders


class LoRA(Node[LoraApplied]):
    """Add a LoRA to the model and its text encoders; several are chained.

    A strength of 0 leaves that part as it is. The cache goes by the content of the file, not by its name.
    """

    version: ClassVar[int] = 3

    model: Model
    text_encoders: TextEncoders
    lora: Annotated[str, AssetPort("lora"), Field(description="A path, or a name in models.lock; none adds nothing.")]
    model_strength: Annotated[Strength, Field(description="How strongly it acts on the UNet.")] = 1.0
    text_strength: Annotated[Strength, Field(description="How strongly it acts on the text encoders.")] = 1.0

    def run(self, ctx: Context) -> LoraApplied:
        """Read the header of the LoRA; raises AssetRefused where it is none, or none for SDXL."""
        from nodes.sdxl.lora_file import inspect_lora

        found = ctx.asset("lora")
        if found.path is None:
            return LoraApplied(model=self.model, text_encoders=self.text_encoders)
        file = inspect_lora(found.path)
        lora = Lora(Weights(found.sha256, found.path.name), self.model_strength, self.text_strength)
        model, text_encoders = self.model, self.text_encoders
        if self.model_strength and file.layers_of("unet"):
            model = replace(model, loras=(*model.loras, lora))
        if self.text_strength and (file.layers_of("text_encoder") or file.layers_of("text_encoder_2")):
            text_encoders = replace(text_encoders, loras=(*text_encoders.loras, lora))
        return LoraApplied(model=model, text_encoders=text_encoders)
