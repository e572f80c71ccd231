"""The denoising UNet and its noise schedule."""

from collections.abc import Mapping
from dataclasses import dataclass

from diffusers import UNet2DConditionModel

from engine.values import Loading
from nodes.values import Model


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A loaded UNet, and the config from which any scheduler can be made."""

    unet: UNet2DConditionModel
    scheduler_config: Mapping[str, object]


def load_model(handle: Model, loading: Loading) -> LiveModel:
    """Load the UNet of a checkpoint; raises AssetMissing or AssetRefused."""
    raise NotImplementedError
