"""Which faces of a picture are drawn again together."""

from typing import Literal

Merge = Literal["none", "merge", "invert"]
"""What is redrawn at once: each face by itself, all faces of a picture, or all of a picture but its faces."""
