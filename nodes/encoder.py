"""Prompts to conditioning."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.prompts import PromptText, dialect_of, find_foreign, find_unknown, join_prompts
from nodes.values import Conditioning, TextEncoders


class Encoded(Output):
    """The encoded prompts."""

    conditioning: Conditioning


class Encoder(Node[Encoded]):
    """Encode a prompt and a negative prompt with both text encoders.

    Prompts may be of any length up to 4,800 tokens; `(word:1.2)`, `(word)` and `[word]` weight words, and BREAK starts
    a new chunk of 75 tokens. `embedding:word` is what an Embedding node taught the text encoders. An empty prompt is
    encoded as an empty text. The guide is docs/prompts.md.
    """

    version: ClassVar[int] = 2
    device: ClassVar[bool] = True

    text_encoders: TextEncoders
    prompt: Annotated[PromptText, Field(description="What to draw.")]
    negative: Annotated[PromptText, Field(description="What to avoid.")] = ""
    prepend: Annotated[PromptText, Field(description="Put before the prompt, such as quality tags.")] = ""
    negative_prepend: Annotated[PromptText, Field(description="Put before the negative prompt.")] = ""
    weighting: Annotated[
        Literal["compel", "comfy", "a1111"],
        Field(
            description=(
                "How weights act, and whose syntax is read: Compel with A1111's syntax, "
                "or ComfyUI or A1111 as they are."
            )
        ),
    ] = "compel"
    clip_skip: Annotated[
        int,
        Field(
            ge=1,
            le=12,
            description=(
                "Which layer of the text encoders to take, counted from the end, as A1111 counts: "
                "2 is the last but one, which SDXL is trained on; 1 is the last."
            ),
        ),
    ] = 2

    def run(self, ctx: Context) -> Encoded:
        """Encode both prompts, each by itself; warns of syntax that is plain text here, and of unknown embeddings."""
        from nodes.sdxl.prompt import encode_conditioning

        prompt = join_prompts(self.prepend, self.prompt)
        negative = join_prompts(self.negative_prepend, self.negative)
        dialect = dialect_of(self.weighting)
        words = [learned.word for learned in self.text_encoders.words]
        unknown = find_unknown((prompt, negative), words, dialect)
        for text in (*find_foreign((prompt, negative), dialect), *filter(None, (unknown,))):
            ctx.warn(text)
        with ctx.resident(self.text_encoders) as live:
            conditioning = encode_conditioning(
                live,
                prompt,
                negative,
                weighting=self.weighting,
                clip_skip=self.clip_skip,
                check=ctx.check,
            )
        return Encoded(conditioning=conditioning)
