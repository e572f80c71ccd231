"""The denoising UNet and its noise schedule."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from diffusers import UNet2DConditionModel

from engine.values import Loading
from nodes.sdxl.configuration import UNetConfig, configuration_of
from nodes.sdxl.devices import device_of, dtype_of
from nodes.sdxl.header import read_header
from nodes.sdxl.layout import unet_places
from nodes.sdxl.lora import open_loras
from nodes.sdxl.weights import empty, fill, open_weights
from nodes.values import Model


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A loaded UNet, and the config from which any scheduler can be made."""

    unet: UNet2DConditionModel
    scheduler_config: Mapping[str, object]
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """Held while the UNet is in use: PAG changes its layers for the time of a run."""


def load_model(handle: Model, loading: Loading) -> LiveModel:
    """Load the UNet of a checkpoint; raises AssetMissing or AssetRefused."""
    path = loading.path(handle.weights.sha256)
    configuration = configuration_of(read_header(path))
    unet = empty_unet(configuration.unet)
    places = unet_places(unet.state_dict().keys(), configuration.unet.layers_per_block)
    device, dtype = device_of(loading.environment), dtype_of(loading.environment)
    with open_weights(path) as file, open_loras(handle.loras, "unet", places, loading) as loras:
        fill(unet, places, file, device, dtype, loras)
    schedule: dict[str, object] = {**configuration.scheduler.model_dump(), "prediction_type": handle.prediction}
    if handle.zero_terminal_snr:
        # Without trailing spacing the first step would not start at the pure noise this model was trained on.
        schedule |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return LiveModel(unet, schedule)


def empty_unet(config: UNetConfig) -> UNet2DConditionModel:
    """Return the UNet of a configuration, without weights."""
    return empty(lambda: UNet2DConditionModel(**config.model_dump()))
