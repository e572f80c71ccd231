"""What other programs call the choices of a port: told where somebody writes such a name, and taken nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.values import Json

ALIASES: Final = "x-aliases"
"""The word for them beside those of JSON Schema, which leaves words that begin with `x-` to whoever writes them."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """Marks a port whose choices are known by other names, as in `Annotated[Name, Aliases((("Euler a", ...),))]`.

    `names` are pairs: what others write, and what that is here, as a message goes on after "here that is".
    """

    names: tuple[tuple[str, str], ...]


def known_as(aliases: Json | Mapping[str, str], name: str) -> str:
    """Return the end of a sentence on what a name of others is here, whatever its case; nothing where it is none."""
    if not isinstance(aliases, Mapping):
        return ""
    wanted = " ".join(name.split()).casefold()
    meant = next((meant for alias, meant in aliases.items() if alias.casefold() == wanted), "")
    return f"; here that is {meant}" if meant else ""
