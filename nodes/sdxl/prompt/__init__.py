"""From prompts to the conditioning of SDXL."""

from nodes.sdxl.prompt.encode import encode_conditioning
from nodes.sdxl.prompt.weighting import Weighting

__all__ = ["Weighting", "encode_conditioning"]
