"""The VAE: between pixels and latents."""

from dataclasses import dataclass

from diffusers import AutoencoderKL

from engine.values import Loading
from nodes.values import Image, Latents, Vae


@dataclass(frozen=True, slots=True)
class LiveVae:
    """A loaded VAE."""

    vae: AutoencoderKL


def load_vae(handle: Vae, loading: Loading) -> LiveVae:
    """Load the VAE of a checkpoint, or one of its own; raises AssetMissing or AssetRefused."""
    raise NotImplementedError


def decode(live: LiveVae, latents: Latents, *, tile: int | None = None) -> Image:
    """Decode latents into pictures, one at a time."""
    raise NotImplementedError


def encode(live: LiveVae, image: Image) -> Latents:
    """Encode pictures into latents, one at a time."""
    raise NotImplementedError
