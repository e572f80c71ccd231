"""Small pictures of unfinished latents."""

import io

import torch
from PIL import Image

LONGEST = 256
"""The longer side of a preview, in pixels."""

# Colours of SDXL's four latent channels and the grey they are added to, as fitted for ComfyUI's latent2rgb.
_COLOURS = (
    (0.3651, 0.4232, 0.4341),
    (-0.2533, -0.0042, 0.1068),
    (0.1076, 0.1111, -0.0362),
    (-0.3165, -0.2492, -0.2188),
)
_GREY = (0.1084, -0.0175, -0.0011)


def preview(latents: torch.Tensor) -> bytes:
    """Return one latent picture [4, height/8, width/8] as a small JPEG, its colours guessed without the VAE."""
    colours = torch.tensor(_COLOURS)
    shown = torch.einsum("chw,cr->hwr", latents.detach().float().cpu(), colours) + torch.tensor(_GREY)
    pixels = ((shown.nan_to_num(0.0) + 1) / 2).clamp(0, 1).mul(255).to(torch.uint8)
    picture = Image.fromarray(pixels.numpy())
    scale = LONGEST / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    stream = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(stream, format="JPEG", quality=85)
    return stream.getvalue()
