"""What the denoise loop is asked to do, checked before any model is loaded."""

import math
from dataclasses import dataclass

from engine.errors import NovaError
from nodes.samplers import SamplerName, ScheduleName
from nodes.values import Array, Conditioning, Control, Guidance, Latents, Mask

SEEDS = 2**64
"""How many seeds a generator takes."""

ROUNDING = 1e-9

CHANNELS = 4
"""Channels of SDXL's latents."""

CELL = 8
"""Pixels, along each edge, that one latent pixel stands for."""


def seeds_from(seed: int, count: int) -> tuple[int, ...]:
    """Return the seeds of a batch: picture k has `seed + k`, starting over at 2**64."""
    return tuple((seed + k) % SEEDS for k in range(count))


def steps_to_run(steps: int, denoise: float) -> int:
    """Return how many of the last steps a partial denoise runs: `steps * denoise`, rounded down.

    As in diffusers; A1111 runs one step more, and ComfyUI all `steps`, the last of `steps / denoise`. A product that
    misses a whole number by a rounding error counts as that number.
    Raises NovaError if none are left.
    """
    run = min(steps, int(steps * denoise + ROUNDING))
    if run < 1:
        least, enough = math.ceil(1000 / steps) / 1000, math.ceil(1 / denoise - ROUNDING)
        raise NovaError(
            f"denoise {denoise:g} of {steps} steps leaves less than one step to run",
            hint=f"Raise denoise to {least:g} or more, or steps to {enough} or more.",
        )
    return run


def whole_cells(edge: int, cell: int = CELL) -> slice:
    """Return which pixels of an edge make whole latents: what stands over is cut evenly, as ComfyUI does."""
    first = edge % cell // 2
    return slice(first, first + edge // cell * cell)


def fitted_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Return a mask cut to latents of a picture of `size` (width, height) the way EncodeImage cuts the picture.

    A mask that is not the picture's is left alone.
    """
    width, height = size
    batch, rows, columns = mask.weight.shape
    down, across = whole_cells(rows), whole_cells(columns)
    if (rows, columns) == (height, width) or (down.stop - down.start, across.stop - across.start) != (height, width):
        return mask
    plane = rows * columns
    lines = (
        mask.weight.data[start + across.start : start + across.stop]
        for first in range(0, batch * plane, plane)
        for start in range(first + down.start * columns, first + down.stop * columns, columns)
    )
    return Mask(Array(mask.weight.dtype, (batch, height, width), b"".join(lines)))


@dataclass(frozen=True, slots=True)
class MicroConditioning:
    """What SDXL is told about picture sizes, in pixels: (width, height) and (left, top)."""

    original: tuple[int, int]
    crop: tuple[int, int]
    target: tuple[int, int]

    @property
    def time_ids(self) -> tuple[int, int, int, int, int, int]:
        """The six numbers in the order the UNet was trained with."""
        return (*self.original[::-1], *self.crop[::-1], *self.target[::-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseRequest:
    """One call of the denoise loop.

    `seeds` has one seed per picture. `size` is (width, height) in pixels, multiples of 8. `latents` and `mask` have one
    picture, used for all, or one per seed; `mask` is in pixels, and where it is grey a `soft_mask` repaints only in as
    large a part of the run, its end. `denoise` below 1 starts from `latents` with only part
    of the noise. `start_step` steps were done before, by whoever gave the latents, with the noise that is left in them;
    after `end_step` steps this run leaves off likewise. `interval` is the part of the run, from 0 to 1, in which
    guidance acts. `micro_batch` pictures are drawn at once: only 1 promises the same bits for every batch size. `micro`
    None means the picture's own size. What `controls` follow is one picture of any size, used for all, or one per seed.
    Raises NovaError where the parts do not fit together.
    """

    conditioning: Conditioning
    seeds: tuple[int, ...]
    size: tuple[int, int]
    steps: int
    cfg: float
    sampler: SamplerName = "euler_ancestral"
    schedule: ScheduleName = "normal"
    denoise: float = 1.0
    start_step: int = 0
    end_step: int | None = None
    latents: Latents | None = None
    mask: Mask | None = None
    soft_mask: bool = False
    guidance: Guidance | None = None
    rescale: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)
    micro_batch: int = 1
    micro: MicroConditioning | None = None
    controls: tuple[Control, ...] = ()

    def __post_init__(self) -> None:
        """Check what no single port can know."""
        self._check_part()
        self._check_size()
        self._check_tokens()
        if self.latents is None:
            self._check_without_latents()
        else:
            self._check_latents(self.latents)
        if self.mask is not None:
            width, height = self.size
            self._check_batch("mask", "does", self.mask.weight.shape, (height, width))
        self._check_hints()

    @property
    def whole(self) -> range:
        """The steps from where noise was put over a picture, or all; counted from 0."""
        return range(self.steps - steps_to_run(self.steps, self.denoise), self.steps)

    @property
    def part(self) -> range:
        """The steps to run."""
        whole = self.whole
        last = whole.stop if self.end_step is None else self.end_step
        return range(self.start_step or whole.start, last)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """The shape of one latent picture: [4, height/8, width/8]."""
        width, height = self.size
        return (CHANNELS, height // CELL, width // CELL)

    @property
    def time_ids(self) -> tuple[int, int, int, int, int, int]:
        """The size conditioning, the picture's own size where nothing else is said."""
        micro = self.micro or MicroConditioning(original=self.size, crop=(0, 0), target=self.size)
        return micro.time_ids

    @property
    def pag_scale(self) -> float:
        """The scale of perturbed-attention guidance, 0 without it."""
        return self.guidance.scale if self.guidance else 0.0

    def _check_part(self) -> None:
        part = self.part
        if self.denoise < 1 and self.start_step:
            raise NovaError(
                f"denoise {self.denoise:g} and start_step {self.start_step} both say where to begin",
                hint="Leave denoise at 1 for latents that have their noise still, and start_step at 0 for a picture.",
            )
        if part.stop > self.steps:
            raise NovaError(f"end_step is {part.stop}, but there are {self.steps} steps", hint="Leave it empty.")
        if not part:
            raise NovaError(
                f"the run would begin after {part.start} steps and end after {part.stop}, so it would do nothing",
                hint="Make end_step larger than where it begins; denoise below 1 leaves the first steps out.",
            )
        if self.start_step and (self.latents is None or self.mask is not None):
            without = (
                "there are no latents" if self.latents is None else "a mask keeps what no longer is there: a picture"
            )
            raise NovaError(
                f"start_step {self.start_step} goes on with latents that have their noise, but {without}",
                hint="Connect the latents of a Sampler that ended there (end_step), without a mask.",
            )

    def _check_size(self) -> None:
        width, height = self.size
        if min(width, height) < CELL or width % CELL or height % CELL:
            raise NovaError(f"the size {width}x{height} is not made of multiples of {CELL} pixels")
        if not self.seeds:
            raise NovaError("no seed was given, so there is no picture to draw")

    def _check_tokens(self) -> None:
        positive = self.conditioning.positive.embeds.shape
        negative = self.conditioning.negative.embeds.shape
        if self.cfg != 1.0 and positive != negative:
            raise NovaError(
                f"the prompt is encoded as {list(positive)} but the negative prompt as {list(negative)}",
                hint="Encode both with one Encoder: it brings them to the same length.",
            )

    def _check_without_latents(self) -> None:
        if self.denoise < 1:
            raise NovaError(
                f"denoise {self.denoise:g} keeps part of a picture, but there are no latents to keep",
                hint="Connect latents (from EncodeImage or another Sampler), or leave denoise at 1.",
            )
        if self.mask is not None:
            raise NovaError(
                "a mask keeps part of a picture, but there are no latents to keep", hint="Connect latents too."
            )

    def _check_latents(self, latents: Latents) -> None:
        shape = latents.samples.shape
        if shape[1:2] != (CHANNELS,) or len(shape[2:]) != len(self.size):
            raise NovaError(f"latents have the shape {list(shape)}, not [batch, 4, height/8, width/8]")
        self._check_batch("latents", "do", shape, self.latent_shape)

    def _check_hints(self) -> None:
        pictures = len(self.seeds)
        for control in self.controls:
            hints = control.hint.pixels.shape[0]
            if hints not in (1, pictures):
                drawn = "one is" if pictures == 1 else f"{pictures} are"
                raise NovaError(
                    f"the ControlNet {control.network.weights.name} has {hints} pictures to follow, but {drawn} drawn",
                    hint="Give it one picture for all, or one for each that is drawn.",
                )

    def _check_batch(self, what: str, does: str, shape: tuple[int, ...], one: tuple[int, ...]) -> None:
        pictures = len(self.seeds)
        if shape[0] not in (1, pictures) or shape[1:] != one:
            drawn = "a picture" if pictures == 1 else f"{pictures} pictures"
            raise NovaError(
                f"the {what} of shape {list(shape)} {does} not fit {drawn} of {self.size[0]}x{self.size[1]}",
                hint=f"Expected {[pictures, *one]}" + (f" or {[1, *one]}." if pictures > 1 else "."),
            )
