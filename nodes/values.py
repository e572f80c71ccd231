"""The port types of the node library: handles that say how to get a model, and pieces of data."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from engine.errors import AssetRefused
from engine.values import Handle, Loading, Value

if TYPE_CHECKING:
    from nodes.sdxl.control import LiveControlNetwork
    from nodes.sdxl.detector import LiveDetector
    from nodes.sdxl.model import LiveModel
    from nodes.sdxl.text import LiveTextEncoders
    from nodes.sdxl.upscaler import LiveUpscaler
    from nodes.sdxl.vae import LiveVae

DType = Literal["F32", "F16", "BF16", "U8", "I64"]


@dataclass(frozen=True, slots=True)
class Array(Value):
    """Numbers without a library: row-major, little-endian bytes; dtype names as in safetensors."""

    dtype: DType
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Weights(Value):
    """A file of weights by its content; `name` is for people, is not where it lies and makes no difference."""

    sha256: str
    name: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Lora(Value):
    """A low-rank adapter and how strongly it acts on the UNet and on the text encoders."""

    weights: Weights
    model_strength: float
    text_strength: float


@dataclass(frozen=True, slots=True)
class LearnedWord(Value):
    """A word of prompts and the embedding that it stands for."""

    word: str
    weights: Weights


@dataclass(frozen=True, slots=True)
class Image(Value):
    """A batch of pictures: `pixels` U8 [batch, height, width, 3], sRGB; `seeds` as in Latents."""

    pixels: Array
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlNetwork(Handle["LiveControlNetwork"]):
    """How to get a ControlNet."""

    weights: Weights

    def load(self, loading: Loading) -> "LiveControlNetwork":
        """Load the ControlNet."""
        from nodes.sdxl.control import load_control_network

        return load_control_network(self, loading)


@dataclass(frozen=True, slots=True)
class Control(Value):
    """A ControlNet, the pictures it follows, how strongly, and from which to which share (0 to 1) of the steps.

    `kind` is the number of the kind of pictures they are, where a union ControlNet has to be told.
    """

    network: ControlNetwork
    hint: Image
    strength: float
    start: float
    end: float
    kind: int | None = None


@dataclass(frozen=True, slots=True)
class Model(Handle["LiveModel"]):
    """How to get the denoising UNet, and what it is to follow while it draws.

    `size` is the native (width, height) in pixels.
    """

    weights: Weights
    size: tuple[int, int]
    prediction: Literal["epsilon", "v_prediction"] = "epsilon"
    zero_terminal_snr: bool = False
    loras: tuple[Lora, ...] = ()
    controls: tuple[Control, ...] = ()

    @property
    def uncontrolled(self) -> "Model":
        """The UNet alone: what to ask the pool for, so that it is loaded once for all pictures that are followed."""
        return replace(self, controls=()) if self.controls else self

    def load(self, loading: Loading) -> "LiveModel":
        """Load the UNet and its noise schedule."""
        from nodes.sdxl.model import load_model

        return load_model(self, loading)


@dataclass(frozen=True, slots=True)
class TextEncoders(Handle["LiveTextEncoders"]):
    """How to get both CLIP text encoders and their tokenizers; no two `words` are alike but for upper case."""

    weights: Weights
    loras: tuple[Lora, ...] = ()
    words: tuple[LearnedWord, ...] = ()

    def load(self, loading: Loading) -> "LiveTextEncoders":
        """Load the text encoders and tokenizers."""
        from nodes.sdxl.text import load_text_encoders

        return load_text_encoders(self, loading)


@dataclass(frozen=True, slots=True)
class Vae(Handle["LiveVae"]):
    """How to get the VAE: bundled in a checkpoint, or a file of its own.

    `half` says that it stays finite in half precision (the fp16-fix VAE), `own` that its latents are not SDXL's, so
    that no other VAE fits its checkpoint, `missing` that the checkpoint came without one.
    """

    weights: Weights
    bundled: bool = True
    half: bool = False
    own: bool = False
    missing: bool = False

    def load(self, loading: Loading) -> "LiveVae":
        """Load the VAE."""
        from nodes.sdxl.vae import load_vae

        self.require()
        return load_vae(self, loading)

    def require(self) -> None:
        """Raise AssetRefused where the checkpoint came without a VAE."""
        if self.missing:
            raise AssetRefused(
                f"{self.weights.name} holds no VAE, and no other was chosen",
                hint="Give an SDXL VAE to the VAE node's `override`; docs/checkpoints.md tells where to get one.",
            )


@dataclass(frozen=True, slots=True)
class Detector(Handle["LiveDetector"]):
    """How to get a YOLO detector; `pickled` marks a .pt file that the user allowed."""

    weights: Weights
    pickled: bool = False

    def load(self, loading: Loading) -> "LiveDetector":
        """Load the detector."""
        from nodes.sdxl.detector import load_detector

        return load_detector(self, loading)


@dataclass(frozen=True, slots=True)
class Upscaler(Handle["LiveUpscaler"]):
    """How to get a network that makes pictures larger."""

    weights: Weights

    def load(self, loading: Loading) -> "LiveUpscaler":
        """Load the network."""
        from nodes.sdxl.upscaler import load_upscaler

        return load_upscaler(self, loading)


@dataclass(frozen=True, slots=True)
class Prompted(Value):
    """One encoded text: `embeds` [1, tokens, width] and `pooled` [1, projection]."""

    embeds: Array
    pooled: Array


@dataclass(frozen=True, slots=True)
class Conditioning(Value):
    """What to draw and what to avoid, encoded."""

    positive: Prompted
    negative: Prompted


@dataclass(frozen=True, slots=True)
class Guidance(Value):
    """Perturbed-attention guidance: its scale, and the layers it perturbs (`mid`, `up.0`, `up.0.attentions.1`)."""

    scale: float
    layers: tuple[str, ...] = ("mid",)


@dataclass(frozen=True, slots=True)
class Latents(Value):
    """Latent pictures: `samples` [batch, 4, height/8, width/8], unscaled by nothing but the VAE's own factor.

    `seeds` names the seed of each picture, empty where they were encoded from pictures.
    """

    samples: Array
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Mask(Value):
    """A batch of masks: `weight` U8 [batch, height, width]; 255 is repainted, 0 is kept."""

    weight: Array


@dataclass(frozen=True, slots=True)
class Box(Value):
    """A rectangle in pixels, and how sure the detector is of it (0 to 1)."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Boxes(Value):
    """The boxes found in each picture of a batch, best first."""

    pictures: tuple[tuple[Box, ...], ...]


@dataclass(frozen=True, slots=True)
class File(Value):
    """An encoded picture: bytes, media type (`image/png`), size in pixels, seed where known, sha256 of its pixels."""

    data: bytes
    media_type: str
    width: int
    height: int
    seed: int | None
    pixel_sha256: str


@dataclass(frozen=True, slots=True)
class Files(Value):
    """The encoded pictures of a batch, in order."""

    files: tuple[File, ...]
