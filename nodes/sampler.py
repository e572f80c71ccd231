"""Conditioning and noise to latents."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from engine import Context, Node, Output
from nodes.samplers import SAMPLER_ALIASES, SCHEDULE_ALIASES, SamplerName, ScheduleName, bad_match
from nodes.values import Conditioning, Guidance, Latents, Mask, Model

if TYPE_CHECKING:
    from nodes.sdxl.request import DenoiseRequest

Length = Annotated[int, Field(ge=64, le=8192, multiple_of=8)]
Extent = Annotated[int, Field(ge=1, le=8192)]
Offset = Annotated[int, Field(ge=0, le=8192)]


class Sampled(Output):
    """What Sampler returns."""

    latents: Latents = Field(description="The drawn latents, with the seed of each picture.")


class Sampler(Node[Sampled]):
    """Draw latents: from noise, or from other latents where `denoise` or a mask keeps part of them.

    Picture k of a batch has the seed `seed + k`, and is bit for bit the picture of that seed alone. A `denoise` below 1
    runs `steps * denoise` steps, rounded down, as in diffusers; A1111's img2img runs one more, and ComfyUI (as A1111's
    second pass) all `steps`, the last of `steps / denoise`: for those, write 50 steps here where 20 at 0.4 stood there.
    `heun`, `dpmpp_sde` and `dpmpp_2s_ancestral` ask the model twice a step. Samplers with `sde` in the name draw fresh
    noise for every call, where A1111 and ComfyUI walk down a Brownian tree: the same seed gives another picture there.
    A run can be shared by several Samplers, say with different models: one leaves off after `end_step` steps, with the
    noise that is left, and the next goes on from there with the same `steps` and that as its `start_step`. If nothing
    else changes, samplers that do not remember their last steps (`euler`, `euler_ancestral`, `heun`, `ddim`,
    `dpmpp_sde`, `dpmpp_2s_ancestral`) so draw what one alone draws, bit for bit.
    `dpmpp_3m_sde` extrapolates, and leaves noise in the picture where the last steps are long, as those of `normal`
    are: use it with `karras`, `exponential` or `beta`. The schedule `beta` is ComfyUI's, not A1111's.
    """

    version: ClassVar[int] = 2
    device: ClassVar[bool] = True

    model: Annotated[Model, Field(description="The UNet to ask.")]
    conditioning: Annotated[Conditioning, Field(description="What to draw and what to avoid.")]
    guidance: Annotated[Guidance | None, Field(description="Perturbed-attention guidance, from PAG.")] = None
    latents: Annotated[Latents | None, Field(description="Latents to start from; empty means pure noise.")] = None
    mask: Annotated[Mask | None, Field(description="Where to repaint, in pixels; empty means everywhere.")] = None
    soft_mask: Annotated[
        bool, Field(description="Grey is repainted in the last steps, the darker the fewer; else from half grey on.")
    ] = False
    width: Annotated[Length | None, Field(description="Pixels; empty means the latents' or the model's own.")] = None
    height: Annotated[Length | None, Field(description="Pixels; empty means the latents' or the model's own.")] = None
    count: Annotated[int, Field(ge=1, le=64, description="How many pictures; latents of a batch give one each.")] = 1
    seed: Annotated[
        int, Field(ge=0, lt=2**64, description="Seed of the first picture; noise uses its low 32 bits.")
    ] = 0
    steps: Annotated[int, Field(ge=1, le=150, description="Steps from pure noise to the picture.")] = 28
    cfg: Annotated[float, Field(ge=1, le=30, description="Guidance scale; 1 ignores the negative prompt.")] = 5.0
    sampler: Annotated[SamplerName, SAMPLER_ALIASES, Field(description="How the steps are taken.")] = "euler_ancestral"
    schedule: Annotated[ScheduleName, SCHEDULE_ALIASES, Field(description="How the noise falls.")] = "normal"
    denoise: Annotated[float, Field(gt=0, le=1, description="Part of the steps to run, the last ones.")] = 1.0
    start_step: Annotated[
        int, Field(ge=0, le=150, description="Steps that were done before: goes on with latents that have noise left.")
    ] = 0
    end_step: Annotated[
        int | None, Field(ge=1, le=150, description="Leaves off after so many of the steps; empty runs to the end.")
    ] = None
    rescale: Annotated[float, Field(ge=0, le=1, description="Guidance rescale; 0.7 suits v-prediction models.")] = 0.0
    guidance_start: Annotated[float, Field(ge=0, le=1, description="Part of the run before guidance begins.")] = 0.0
    guidance_end: Annotated[float, Field(ge=0, le=1, description="Part of the run after which guidance ends.")] = 1.0
    micro_batch: Annotated[
        int, Field(ge=1, le=64, description="Pictures at once; above 1 is faster, not bit-equal.")
    ] = 1
    original_width: Annotated[Extent | None, Field(description="Told to SDXL; empty means the width.")] = None
    original_height: Annotated[Extent | None, Field(description="Told to SDXL; empty means the height.")] = None
    crop_left: Annotated[Offset, Field(description="Told to SDXL, in pixels.")] = 0
    crop_top: Annotated[Offset, Field(description="Told to SDXL, in pixels.")] = 0
    target_width: Annotated[Extent | None, Field(description="Told to SDXL; empty means the width.")] = None
    target_height: Annotated[Extent | None, Field(description="Told to SDXL; empty means the height.")] = None

    def run(self, ctx: Context) -> Sampled:
        """Run the denoise loop; warns of a schedule that the sampler cannot do with."""
        from nodes.sdxl.control import lent_networks
        from nodes.sdxl.denoise import denoise

        request = self.request()
        if (why := bad_match(self.sampler, self.schedule)) is not None:
            ctx.warn(why)
        with ctx.resident(self.model.uncontrolled) as live, lent_networks(self.model.controls, ctx) as networks:
            return Sampled(latents=denoise(live, request, ctx, networks))

    def request(self) -> "DenoiseRequest":
        """Return what the loop is asked for; raises NovaError where ports do not fit together."""
        from nodes.sdxl.request import DenoiseRequest, MicroConditioning, fitted_mask, seeds_from

        width, height = self.size
        batch = self.latents.samples.shape[0] if self.latents else 1
        return DenoiseRequest(
            conditioning=self.conditioning,
            seeds=seeds_from(self.seed, self.count if self.count > 1 else batch),
            size=(width, height),
            steps=self.steps,
            cfg=self.cfg,
            sampler=self.sampler,
            schedule=self.schedule,
            denoise=self.denoise,
            start_step=self.start_step,
            end_step=self.end_step,
            latents=self.latents,
            soft_mask=self.soft_mask,
            mask=self.mask and fitted_mask(self.mask, (width, height)),
            guidance=self.guidance,
            rescale=self.rescale,
            interval=(self.guidance_start, self.guidance_end),
            micro_batch=self.micro_batch,
            micro=MicroConditioning(
                original=(self.original_width or width, self.original_height or height),
                crop=(self.crop_left, self.crop_top),
                target=(self.target_width or width, self.target_height or height),
            ),
            controls=self.model.controls,
        )

    @property
    def size(self) -> tuple[int, int]:
        """The (width, height) to draw, in pixels."""
        width, height = self.model.size
        if self.latents:
            height, width = (8 * edge for edge in self.latents.samples.shape[2:])
        return (self.width or width, self.height or height)
