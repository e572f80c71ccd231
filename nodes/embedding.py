"""An embedding on text encoders."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from engine.assets import AssetPort
from engine.context import Context
from engine.errors import NovaError
from engine.node import Node, Output
from nodes.prompts import LONGEST_WORD, WORD
from nodes.values import LearnedWord, TextEncoders, Weights


class EmbeddingAdded(Output):
    """The text encoders that know one word more."""

    text_encoders: TextEncoders


class Embedding(Node[EmbeddingAdded]):
    """Teach the text encoders a word: an embedding (textual inversion), which prompts name; several are chained.

    A prompt has it as `embedding:word`, with `weighting: compel` or `a1111` also as the bare word. The cache goes by
    the content of the file, not by its name.
    """

    text_encoders: TextEncoders
    embedding: Annotated[
        str, AssetPort("embedding"), Field(description="A path, or a name in models.lock; none adds nothing.")
    ]
    word: Annotated[
        str,
        Field(
            pattern=WORD,
            max_length=LONGEST_WORD,
            description="How prompts name it: letters, digits and _ . + -, mostly the name of its file.",
        ),
    ]

    def run(self, ctx: Context) -> EmbeddingAdded:
        """Read the header of the file; raises AssetRefused where it is no SDXL embedding, NovaError on a word twice."""
        from nodes.sdxl.embedding_file import inspect_embedding

        found = ctx.asset("embedding")
        if found.path is None:
            return EmbeddingAdded(text_encoders=self.text_encoders)
        inspect_embedding(found.path)
        words = self.text_encoders.words
        if any(learned.word.casefold() == self.word.casefold() for learned in words):
            raise NovaError(
                f"the text encoders already have an embedding under the word {self.word}",
                hint="Give one of the two Embedding nodes another word.",
            )
        learned = LearnedWord(self.word, Weights(found.sha256, found.path.name))
        return EmbeddingAdded(text_encoders=replace(self.text_encoders, words=(*words, learned)))
