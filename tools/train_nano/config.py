"""Everything that a training run is decided by, and its presets."""

from dataclasses import dataclass, replace
from typing import Final

LATENT_SHRINK: Final = 8


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a stage trains: until its steps are done, or its minutes (0: no limit) are used up.

    With minutes the learning rate falls by the clock, and two runs are not the same; by steps alone they are.
    """

    steps: int
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Learning rates: Muon's for matrices and kernels, AdamW's for the rest; and the steps of warming up."""

    muon: float
    adam: float
    warm_up: int = 80


@dataclass(frozen=True, slots=True)
class DataConfig:
    """How many pictures are rendered to train on, and how many more are held out."""

    pictures: int
    held_out: int


@dataclass(frozen=True, slots=True)
class VaeStage:
    """The VAE: its widths; the crops it trains on, and in a share of the steps whole pictures.

    `noise` is what is added to its latents of about unit variance: more makes them easier to denoise, less keeps more
    of the picture. `squares` is the weight of squared errors beside absolute ones.
    """

    widths: tuple[int, ...]
    groups: int
    layers_per_block: int
    crop: int
    crop_batch: int
    batch: int
    budget: Budget
    rates: Rates = Rates(muon=2.8e-3, adam=1.4e-3, warm_up=50)
    whole_share: float = 0.15
    noise: float = 0.15
    squares: float = 0.0


@dataclass(frozen=True, slots=True)
class TextStage:
    """Both text encoders: widths (which must differ), layers, and their training on captions alone."""

    widths: tuple[int, int]
    layers: int
    batch: int
    budget: Budget
    rates: Rates = Rates(muon=2e-3, adam=2e-3, warm_up=40)


@dataclass(frozen=True, slots=True)
class UNetStage:
    """The UNet: its shape, and its training on encoded pictures.

    `text_from` is the part of the budget after which the text encoders learn as well, at `text_share` of the rates;
    1 leaves them frozen. In `pooled_dropped` of the samples the pooled embedding is that of the empty text, so that the
    UNet has to read the tokens, which weights act on.
    """

    widths: tuple[int, int, int]
    heads: tuple[int, int, int]
    groups: int
    layers_per_block: int
    depths: tuple[int, int, int]
    batch: int
    budget: Budget
    rates: Rates = Rates(muon=2e-3, adam=1e-3, warm_up=100)
    face_weight: float = 1.0
    text_from: float = 0.5
    text_share: float = 0.3
    average: float = 0.9965
    pooled_dropped: float = 0.5


@dataclass(frozen=True, slots=True)
class DetectorStage:
    """The face detector: a YOLOv8 of `width` times the usual channels."""

    pictures: int
    epochs: int
    size: int
    batch: int
    width: float = 0.125


@dataclass(frozen=True, slots=True)
class Config:
    """One whole run; `native` is the edge of its pictures in pixels, a multiple of 64."""

    name: str
    native: int
    seed: int
    workers: int
    data: DataConfig
    vae: VaeStage
    decoder: Budget
    """More training of the VAE's decoder alone, after which latents stay valid."""
    text: TextStage
    unet: UNetStage
    detector: DetectorStage
    save_every: float = 120.0
    """Seconds between checkpoints."""
    title: str = "nova-nano"
    start: str = ""
    """The sha256 of the checkpoint that is trained further; empty where training starts from nothing."""

    @property
    def latent(self) -> int:
        """The edge of the latents."""
        return self.native // LATENT_SHRINK


SMOKE: Final = Config(
    name="smoke",
    native=64,
    seed=1,
    workers=0,
    data=DataConfig(pictures=24, held_out=8),
    vae=VaeStage((8, 8, 8, 8), 4, 1, crop=32, crop_batch=2, batch=2, budget=Budget(4)),
    decoder=Budget(2),
    text=TextStage((16, 32), 2, batch=4, budget=Budget(3)),
    unet=UNetStage((16, 16, 32), (1, 1, 2), 4, 1, (1, 1, 1), batch=4, budget=Budget(4)),
    detector=DetectorStage(pictures=8, epochs=1, size=64, batch=4, width=0.0625),
)
CPU: Final = Config(
    name="cpu",
    native=128,
    seed=1,
    workers=2,
    data=DataConfig(pictures=24_000, held_out=512),
    vae=VaeStage((16, 24, 64, 96), 8, 1, crop=64, crop_batch=8, batch=4, budget=Budget(12_000, minutes=30)),
    decoder=Budget(3_000, minutes=6),
    text=TextStage((64, 128), 3, batch=48, budget=Budget(600, minutes=3)),
    unet=UNetStage((48, 96, 128), (3, 3, 4), 16, 2, (1, 1, 1), batch=24, budget=Budget(12_000, minutes=85)),
    detector=DetectorStage(pictures=3_000, epochs=6, size=192, batch=16),
)
FURTHER: Final = Config(
    name="further",
    native=128,
    seed=4,
    workers=0,
    data=DataConfig(pictures=14_000, held_out=256),
    vae=VaeStage(
        (16, 24, 64, 96),
        8,
        1,
        crop=64,
        crop_batch=8,
        batch=4,
        budget=Budget(6_000, minutes=38),
        rates=Rates(muon=1.5e-3, adam=7e-4, warm_up=30),
        noise=0.05,
        squares=4.0,
    ),
    decoder=Budget(8_000, minutes=30),
    text=TextStage((64, 128), 3, batch=48, budget=Budget(0)),
    unet=UNetStage(
        (64, 96, 160),
        (2, 3, 5),
        16,
        1,
        (1, 1, 1),
        batch=24,
        budget=Budget(6_000, minutes=46),
        rates=Rates(muon=1e-3, adam=5e-4, warm_up=30),
        face_weight=3.0,
        text_from=0.0,
    ),
    detector=DetectorStage(pictures=3_000, epochs=6, size=192, batch=16),
)
"""For `--start nodes/sdxl/nano/nova-nano.safetensors`, whose networks have this shape; its detector is trained anew."""

UNET_FURTHER: Final = replace(
    FURTHER,
    name="further-unet",
    seed=5,
    vae=replace(FURTHER.vae, budget=Budget(0)),
    decoder=Budget(0),
    unet=replace(FURTHER.unet, pooled_dropped=0.8),
)
"""As `further`, but the VAE stays as it is."""

GPU: Final = Config(
    name="gpu",
    native=192,
    seed=1,
    workers=12,
    data=DataConfig(pictures=100_000, held_out=512),
    vae=VaeStage((16, 24, 64, 96), 8, 1, crop=96, crop_batch=192, batch=64, budget=Budget(14_000, minutes=6)),
    decoder=Budget(3_000, minutes=1.5),
    text=TextStage((64, 128), 3, batch=256, budget=Budget(1_500, minutes=1)),
    unet=UNetStage(
        (48, 96, 128), (3, 3, 4), 16, 2, (1, 1, 1), batch=256, budget=Budget(40_000, minutes=14), average=0.999
    ),
    detector=DetectorStage(pictures=8_000, epochs=12, size=256, batch=64),
    save_every=45.0,
)
PRESETS: Final = {preset.name: preset for preset in (SMOKE, CPU, FURTHER, UNET_FURTHER, GPU)}
