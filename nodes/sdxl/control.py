"""ControlNets: networks that see a picture and add to the UNet's layers (Zhang et al. 2023, arXiv:2302.05543).

Union ControlNets follow several kinds of pictures, and are told which (xinsir, ControlNetPlus; as in diffusers).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import ControlNetModel, ControlNetUnionModel, UNet2DConditionModel

from engine.context import Context
from engine.errors import AssetRefused, NovaError
from engine.values import Loading
from nodes.pictures.batches import split_image
from nodes.pictures.resize import resize_picture
from nodes.sdxl.control_file import UNION_HEADS, ControlFile, inspect_control_net
from nodes.sdxl.devices import device_of, dtype_of
from nodes.sdxl.weights import empty, fill, open_weights
from nodes.values import Control, ControlNetwork, Image

_SHARED = (
    "block_out_channels",
    "layers_per_block",
    "cross_attention_dim",
    "addition_time_embed_dim",
    "projection_class_embeddings_input_dim",
)
"""What a ControlNet and the UNet that it adds to have in common."""


@dataclass(frozen=True, slots=True)
class LiveControlNetwork:
    """A loaded ControlNet; `name` is its file's."""

    network: ControlNetModel | ControlNetUnionModel
    name: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Where in a run the model is asked: for which pictures of the batch, and for which step of how many, from 1."""

    pictures: range
    step: int
    steps: int

    @property
    def begin(self) -> float:
        """The share of the run, from 0 to 1, before this step."""
        return (self.step - 1) / self.steps

    @property
    def end(self) -> float:
        """The share of the run after this step."""
        return self.step / self.steps


@dataclass(frozen=True, slots=True)
class Question:
    """What UNet and ControlNets are asked alike; all tensors have one row for each answer."""

    rows: torch.Tensor
    timestep: torch.Tensor
    embeds: torch.Tensor
    added: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Residuals:
    """What is added to the outputs of the UNet's down blocks, and to that of its middle."""

    down: list[torch.Tensor]
    mid: torch.Tensor

    def __add__(self, other: "Residuals") -> "Residuals":
        """Return the sum of both."""
        down = [own + more for own, more in zip(self.down, other.down, strict=True)]
        return Residuals(down, self.mid + other.mid)


class Steering:
    """Asks the ControlNets of a request; the pictures that they follow are brought to its size once per run."""

    def __init__(
        self,
        controls: Sequence[Control],
        networks: Sequence[LiveControlNetwork],
        size: tuple[int, int],
        unet: UNet2DConditionModel,
    ) -> None:
        """Prepare `networks`, one for each control; raises NovaError where one was made for another model."""
        self._steered = []
        for control, live in zip(controls, networks, strict=True):
            _refuse_misfit(live, unet)
            hint = hint_tensor(control.hint, size).to(live.network.device, live.network.dtype)
            self._steered.append((control, live.network, hint))

    def residuals(self, question: Question, turn: Turn) -> Residuals | None:
        """Return the sum of what the ControlNets add in a step, None where none of them acts in it."""
        total = None
        for control, network, hint in self._steered:
            if turn.begin < control.start or turn.end > control.end:
                continue
            own = _residuals(network, question, _of(hint, turn.pictures), control)
            total = own if total is None else total + own
        return total


def load_control_network(handle: ControlNetwork, loading: Loading) -> LiveControlNetwork:
    """Load a ControlNet; raises AssetMissing, or AssetRefused, also where anything in the file would be left out."""
    path = loading.path(handle.weights.sha256)
    found = inspect_control_net(path)
    network = empty_control_network(found)
    places = found.places(network.state_dict().keys())
    with open_weights(path) as file:
        unknown = sorted(set(file.keys) - {place.key for place in places.values()})
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise AssetRefused(
                f"{file.name} holds tensors whose use is not known: {unknown[0][:80]}{more}",
                hint="Leaving them out would draw something else than was trained; choose a plain SDXL ControlNet.",
            )
        fill(network, places, file, device_of(loading.environment), dtype_of(loading.environment))
    return LiveControlNetwork(network, path.name)


def empty_control_network(file: ControlFile) -> ControlNetModel | ControlNetUnionModel:
    """Return the ControlNet of a file, without weights."""
    unet = file.unet
    depths = (*file.depths[:-1], file.depths[-1] or file.middle)
    settings: dict[str, Any] = {
        "in_channels": unet.in_channels,
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in file.depths),
        "block_out_channels": unet.block_out_channels,
        "layers_per_block": unet.layers_per_block,
        "norm_num_groups": unet.norm_num_groups,
        "cross_attention_dim": unet.cross_attention_dim,
        "transformer_layers_per_block": tuple(depth or 1 for depth in depths),
        "attention_head_dim": unet.attention_head_dim,
        "use_linear_projection": unet.use_linear_projection,
        "addition_embed_type": unet.addition_embed_type,
        "addition_time_embed_dim": unet.addition_time_embed_dim,
        "projection_class_embeddings_input_dim": unet.projection_class_embeddings_input_dim,
        "conditioning_embedding_out_channels": file.hints,
    }
    union = file.union
    if union is None:
        middle = "UNetMidBlock2DCrossAttn" if file.middle else "UNetMidBlock2D"
        return empty(lambda: ControlNetModel(mid_block_type=middle, **settings))
    return empty(
        lambda: ControlNetUnionModel(
            num_control_type=union.kinds,
            num_trans_channel=union.channels,
            num_trans_head=UNION_HEADS,
            num_trans_layer=union.layers,
            num_proj_channel=unet.block_out_channels[0],
            **settings,
        )
    )


@contextmanager
def lent_networks(controls: Sequence[Control], ctx: Context) -> Iterator[tuple[LiveControlNetwork, ...]]:
    """Lend the ControlNets of some controls, in their order; raises AssetMissing or AssetRefused."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(ctx.resident(control.network)) for control in controls)


def hint_tensor(hint: Image, size: tuple[int, int]) -> torch.Tensor:
    """Return pictures as F32 [batch, 3, height, width] from 0 to 1, stretched to `size` as diffusers does (Lanczos)."""
    pictures = [resize_picture(picture, size, "stretch", "lanczos") for picture in split_image(hint)]
    width, height = size
    planes = [torch.frombuffer(bytearray(picture.rgb), dtype=torch.uint8) for picture in pictures]
    pixels = torch.stack(planes).reshape(len(pictures), height, width, 3)
    return (pixels.float() / 255.0).permute(0, 3, 1, 2).contiguous()


def _residuals(
    network: ControlNetModel | ControlNetUnionModel, question: Question, hint: torch.Tensor, control: Control
) -> Residuals:
    rows = torch.cat([hint] * (len(question.rows) // len(hint)))
    followed: dict[str, Any] = {"controlnet_cond": rows}
    if isinstance(network, ControlNetUnionModel):
        kinds = torch.zeros(len(rows), network.config["num_control_type"]).to(rows)
        kinds[:, control.kind] = 1
        followed = {"controlnet_cond": [rows], "control_type": kinds, "control_type_idx": [control.kind]}
    down, mid = network(
        question.rows,
        question.timestep,
        encoder_hidden_states=question.embeds,
        conditioning_scale=float(control.strength),
        added_cond_kwargs=question.added,
        return_dict=False,
        **followed,
    )
    return Residuals(list(down), mid)


def _of(hint: torch.Tensor, pictures: range) -> torch.Tensor:
    """Return the rows of some pictures; a batch of one serves all."""
    return hint.expand(len(pictures), -1, -1, -1) if len(hint) == 1 else hint[pictures.start : pictures.stop]


def _refuse_misfit(live: LiveControlNetwork, unet: UNet2DConditionModel) -> None:
    """Raise NovaError where a ControlNet cannot add to a UNet."""
    for setting in _SHARED:
        own, other = live.network.config[setting], unet.config[setting]
        if _plain(own) != _plain(other):
            raise NovaError(
                f"the ControlNet {live.name} does not fit the model: its {setting} are {own}, the model's {other}",
                hint="It was trained for another model; the embedded nova-nano is too small for those of SDXL.",
            )


def _plain(setting: object) -> object:
    return tuple(setting) if isinstance(setting, list) else setting
