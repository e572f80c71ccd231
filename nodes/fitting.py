"""How pictures and latents are fitted into another shape, as a port."""

from typing import Annotated, Literal

from pydantic import Field

Fitting = Annotated[
    Literal["crop", "fit", "stretch"],
    Field(description="crop: fill the size, cut the rest evenly; fit: stay inside it; stretch: ignore the shape."),
]
