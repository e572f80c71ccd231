"""Pictures to files."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.program import program_version
from nodes.values import Files, Image


class Serialized(Output):
    """The encoded pictures; whoever asked for them decides where they go."""

    file: Files


class Serializer(Node[Serialized]):
    """Encode pictures as files that say how they were made.

    Each file carries the resolved graph (text `nova_graph`, for `nova-graph rerun`) and A1111's generation parameters,
    which CivitAI reads, LoRAs as `<lora:name:0.8>` behind the prompt, embeddings by their words and hashes; local paths
    and secrets are never in it.
    """

    version: ClassVar[int] = 2
    writes_provenance: ClassVar[bool] = True

    image: Image
    format: Annotated[Literal["png", "webp", "jpeg"], Field(description="The file format.")] = "png"
    quality: Annotated[
        int, Field(ge=1, le=100, description="For webp and jpeg; 100 makes webp lossless. png is always lossless.")
    ] = 92
    metadata: Annotated[
        Literal["all", "none"], Field(description="none: the file does not say how the picture was made.")
    ] = "all"

    def run(self, ctx: Context) -> Serialized:
        """Encode each picture of the batch."""
        from nodes.pictures.defaults import known_defaults
        from nodes.pictures.files import Story, encode_files

        program = f"nova-graph {program_version()}"
        story = Story(ctx.provenance, program, known_defaults()) if self.metadata == "all" else None
        return Serialized(file=encode_files(self.image, story, self.format, self.quality, ctx.check))
