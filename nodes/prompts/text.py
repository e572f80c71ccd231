"""The port type of a prompt: text within bounds, checked before anything runs."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

MAX_CHARACTERS = 100_000

_NETWORK_TAG = re.compile(r"<\s*+(?:lora|lyco|lycoris|hypernet)\s*+:[^<>]{0,60}+>?", re.IGNORECASE)


def refuse_network_tags(text: str) -> str:
    """Return the text; raises PydanticCustomError where it holds a tag such as `<lora:name:0.8>`.

    Other programs load an adapter there. As plain text it would only be drawn.
    """
    tag = _NETWORK_TAG.search(text)
    if tag is not None:
        raise PydanticCustomError(
            "network_tag",
            'cannot load adapters: take "{tag}" out of the text '
            "and put a LoRA node between the checkpoint loader and the encoder",
            {"tag": tag[0]},
        )
    return text


PromptText = Annotated[str, Field(max_length=MAX_CHARACTERS), AfterValidator(refuse_network_tags)]
