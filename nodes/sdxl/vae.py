"""The VAE: between pixels and latents."""

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL

from engine.environment import Environment
from engine.errors import AssetRefused, NovaError
from engine.values import Loading
from nodes.sdxl.arrays import from_tensor, image_to_tensor, tensor_to_image, to_tensor
from nodes.sdxl.checkpoint import vae_prefix
from nodes.sdxl.configuration import VaeConfig, vae_configuration_of
from nodes.sdxl.devices import device_of, dtype_of
from nodes.sdxl.header import Header, read_header
from nodes.sdxl.layout import Place, vae_places
from nodes.sdxl.request import whole_cells
from nodes.sdxl.room import Alone, Host, with_room
from nodes.sdxl.weights import empty, fill, open_weights
from nodes.values import Image, Latents, Vae

FALLBACK_TILE = 512
"""Tile edge in pixels when a whole picture did not fit into the device's memory."""

Use = Callable[[AutoencoderKL], torch.Tensor]
_ALONE = Alone()


@dataclass(frozen=True, slots=True)
class LiveVae:
    """A loaded VAE."""

    vae: AutoencoderKL

    @property
    def shrink(self) -> int:
        """How many pixels of an edge make one of the latents: 8."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))


def load_vae(handle: Vae, loading: Loading) -> LiveVae:
    """Load the VAE of a checkpoint, or one of its own; raises AssetMissing or AssetRefused."""
    path = loading.path(handle.weights.sha256)
    header = read_header(path)
    config = vae_configuration_of(header)
    vae = empty_vae(config)
    places = _places(header, vae.state_dict().keys(), len(config.block_out_channels))
    with open_weights(path) as file:
        fill(vae, places, file, device_of(loading.environment), vae_dtype(loading.environment, half=handle.half))
    return LiveVae(vae)


def empty_vae(config: VaeConfig) -> AutoencoderKL:
    """Return the VAE of a configuration, without weights."""
    levels = len(config.block_out_channels)
    sides = {"down_block_types": ("DownEncoderBlock2D",) * levels, "up_block_types": ("UpDecoderBlock2D",) * levels}
    return empty(lambda: AutoencoderKL(**config.model_dump(), **sides))


def vae_dtype(environment: Environment, *, half: bool) -> torch.dtype:
    """Return the VAE's own dtype: float32, since SDXL's overflows in float16, unless it was made for half precision."""
    dtype = dtype_of(environment)
    return dtype if half or dtype == torch.bfloat16 else torch.float32


def decode(live: LiveVae, latents: Latents, *, tile: int | None = None, host: Host = _ALONE) -> Image:
    """Decode latents [batch, 4, height/8, width/8] into pictures, one at a time, so that a batch equals its pictures.

    `tile` is the tile edge in pixels. A picture that does not fit into memory is decoded again without idle models,
    then in tiles, which is a makeshift, since it can be told from a whole one; and one that is not finite in half
    precision again in float32. `host` is asked before each picture whether to go on.
    Raises NovaError where the latents themselves are not finite, or not even tiles fit.
    """
    rows = to_tensor(latents.samples, live.vae.device)
    if not torch.isfinite(rows).all():
        raise NovaError(
            "the latents hold numbers that are not finite, so there is nothing to decode",
            hint="Lower the guidance, or compute in float32.",
        )
    pictures = []
    with torch.inference_mode():
        for row in rows:
            host.check()
            pictures.append(_decoded(live.vae, row[None], tile, host))
    return tensor_to_image(torch.cat(pictures), latents.seeds)


def encode(live: LiveVae, image: Image, *, tile: int | None = None, host: Host = _ALONE) -> Latents:
    """Encode pictures into latents [batch, 4, height/8, width/8], one at a time and without chance.

    The latents are the mode of the posterior. Edges that are no multiples of 8 pixels are cut evenly, as ComfyUI does;
    raises NovaError where nothing is left. `tile` and `host` as in `decode`.
    """
    pictures = _whole_cells(image_to_tensor(image, live.vae.device, torch.float32), live.shrink)
    rows = []
    with torch.inference_mode():
        for picture in pictures:
            host.check()
            rows.append(_encoded(live.vae, picture[None], tile, host))
    return Latents(from_tensor(torch.cat(rows)), image.seeds)


def _whole_cells(pictures: torch.Tensor, cell: int) -> torch.Tensor:
    height, width = pictures.shape[-2:]
    if min(height, width) < cell:
        raise NovaError(f"a picture of {width}x{height} pixels is too small to encode: edges need at least {cell}")
    return pictures[..., whole_cells(height, cell), whole_cells(width, cell)]


def _decoded(vae: AutoencoderKL, row: torch.Tensor, tile: int | None, host: Host) -> torch.Tensor:
    """Return one picture [1, 3, height, width], finite."""

    def use(own: AutoencoderKL) -> torch.Tensor:
        picture: torch.Tensor = own.decode(row.to(own.dtype) / float(own.config.scaling_factor), return_dict=False)[0]
        return picture

    return _finite(vae, use, tile, host, "the decoded picture")


def _encoded(vae: AutoencoderKL, picture: torch.Tensor, tile: int | None, host: Host) -> torch.Tensor:
    """Return one posterior mode [1, 4, height/8, width/8], scaled and finite."""

    def use(own: AutoencoderKL) -> torch.Tensor:
        mode: torch.Tensor = own.encode(picture.to(own.dtype)).latent_dist.mode()
        return mode * float(own.config.scaling_factor)

    return _finite(vae, use, tile, host, "the encoded picture")


def _finite(vae: AutoencoderKL, use: Use, tile: int | None, host: Host, what: str) -> torch.Tensor:
    result = _fitting(vae, use, tile, host, what)
    if torch.isfinite(result).all():
        return result
    if vae.dtype != torch.float32:
        host.warn(f"{what} was not finite in {vae.dtype}; computed again in float32. The fp16-fix VAE avoids this.")
        wide = with_room(lambda: copy.deepcopy(vae).to(torch.float32), host, f"computing {what} again in float32")
        result = _fitting(wide, use, tile, host, what)
    if not torch.isfinite(result).all():
        raise NovaError(f"{what} is not finite, even in float32", hint="The VAE's weights may be damaged.")
    return result


def _fitting(vae: AutoencoderKL, use: Use, tile: int | None, host: Host, what: str) -> torch.Tensor:
    """Use the VAE whole, or in tiles where asked for or where the whole does not fit into memory."""

    def in_tiles() -> torch.Tensor:
        host.makeshift(f"{what} did not fit into memory whole; it is made of tiles of {FALLBACK_TILE} pixels")
        return use(_tiled(vae, FALLBACK_TILE))

    if tile is not None:
        return with_room(lambda: use(_tiled(vae, tile)), host, f"computing {what} in tiles of {tile} pixels")
    return with_room(lambda: use(vae), host, f"computing {what}", in_tiles)


def _tiled(vae: AutoencoderKL, edge: int) -> AutoencoderKL:
    """Return a view of a VAE, sharing its weights, that works in tiles of that edge in pixels."""
    view = copy.copy(vae)
    view.use_tiling = True
    view.tile_sample_min_size = edge
    view.tile_latent_min_size = edge // 2 ** (len(vae.config.block_out_channels) - 1)
    return view


def _places(header: Header, names: Collection[str], levels: int) -> dict[str, Place]:
    """Return where the VAE lies in a file: as diffusers writes it, or as in a checkpoint with or without its prefix."""
    prefix = vae_prefix(header)
    if prefix is None:
        raise AssetRefused(f"{header.name} holds no VAE")
    if header.has("encoder.down_blocks."):
        return {name: Place(name) for name in names}
    return vae_places(names, levels, prefix)
