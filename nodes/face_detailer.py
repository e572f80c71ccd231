"""Faces drawn again, larger."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.merging import Merge
from nodes.samplers import SAMPLER_ALIASES, SCHEDULE_ALIASES, SamplerName, ScheduleName, bad_match
from nodes.values import Boxes, Conditioning, Guidance, Image, Model, Vae

if TYPE_CHECKING:
    from nodes.sdxl.detail import Framing
    from nodes.sdxl.detail_redraw import Drawing


class FacesDetailed(Output):
    """What FaceDetailer returns."""

    image: Image = Field(description="The pictures with their faces refined.")


class FaceDetailer(Node[FacesDetailed]):
    """Refine faces: cut each out, redraw it at the model's native size, and lay it back softly.

    Faces are refined in order, each on the picture as the one before left it. Pixels that no blurred mask reaches keep
    their bits, and without a face the image comes out as it went in. Distances are pixels for a model whose native edge
    is 1024; for smaller models they shrink with it. To give faces a prompt of their own, connect another Encoder.
    Parameters and defaults are those of ADetailer; the default cfg is Sampler's. Not taken over: the noise
    multiplier, a denoise that depends on the size of a face, and [SEP] and [SKIP] in prompts. Where the model follows
    a picture (see ControlNet), the faces do not: it shows the whole, not the face.
    """

    version: ClassVar[int] = 2
    device: ClassVar[bool] = True

    image: Annotated[Image, Field(description="Pictures with faces.")]
    boxes: Annotated[Boxes, Field(description="Where the faces are, from DetectFaces.")]
    model: Annotated[Model, Field(description="The UNet to ask.")]
    vae: Annotated[Vae, Field(description="Between the pictures and latents.")]
    conditioning: Annotated[Conditioning, Field(description="What the faces look like.")]
    guidance: Annotated[Guidance | None, Field(description="Perturbed-attention guidance, from PAG.")] = None
    denoise: Annotated[float, Field(gt=0, le=1, description="How much of the face is drawn anew.")] = 0.4
    steps: Annotated[
        int, Field(ge=1, le=150, description="Steps of a whole run; `denoise` of them are done, but one at least.")
    ] = 28
    cfg: Annotated[float, Field(ge=1, le=30, description="Guidance scale; 1 ignores the negative prompt.")] = 5.0
    rescale: Annotated[float, Field(ge=0, le=1, description="Guidance rescale; 0.7 suits v-prediction models.")] = 0.0
    sampler: Annotated[SamplerName, SAMPLER_ALIASES, Field(description="How the steps are taken.")] = "euler_ancestral"
    schedule: Annotated[ScheduleName, SCHEDULE_ALIASES, Field(description="How the noise falls from step to step.")] = (
        "normal"
    )
    seed: Annotated[int, Field(ge=0, lt=2**64, description="Face j of picture k is drawn with seed + k + j.")] = 0
    same_seed: Annotated[bool, Field(description="Draw every face of picture k with seed + k.")] = False
    padding: Annotated[int, Field(ge=0, le=1024, description="Pixels around the mask that the model sees.")] = 32
    mask_blur: Annotated[float, Field(ge=0, le=64, description="Softness of the mask's edge, in pixels.")] = 4.0
    dilate: Annotated[int, Field(ge=-512, le=512, description="Pixels by which the mask is wider than the box.")] = 4
    x_offset: Annotated[int, Field(ge=-1024, le=1024, description="Pixels that the mask moves to the right.")] = 0
    y_offset: Annotated[int, Field(ge=-1024, le=1024, description="Pixels that the mask moves up.")] = 0
    size: Annotated[
        int | None,
        Field(ge=64, le=2048, multiple_of=8, description="Edge at which faces are drawn; empty: the model's own."),
    ] = None
    only_masked: Annotated[bool, Field(description="Draw the face and its padding, not the whole picture.")] = True
    merge: Annotated[
        Merge,
        Field(description="none: face by face; merge: all faces of a picture at once; invert: all but the faces."),
    ] = "none"

    def run(self, ctx: Context) -> FacesDetailed:
        """Refine the faces of each picture of the batch; models are loaded only if there is one."""
        from nodes.sdxl.detail import face_seeds, refine, require_boxes_for, spots
        from nodes.sdxl.detail_redraw import Redrawer, Turns

        require_boxes_for(self.image, self.boxes)
        _, height, width, _ = self.image.pixels.shape
        framing = self.framing()
        faces = tuple(spots(boxes, (width, height), framing) for boxes in self.boxes.pictures)
        counts = tuple(map(len, faces))
        if sum(counts) == 0:
            return FacesDetailed(image=self.image)
        if (why := bad_match(self.sampler, self.schedule)) is not None:
            ctx.warn(why)
        seeds = face_seeds(self.seed, counts, same=self.same_seed)
        with ctx.resident(self.model.uncontrolled) as model, ctx.resident(self.vae) as vae:
            redrawer = Redrawer(model, vae, self.drawing(), Turns(ctx, sum(counts)), ctx)
            return FacesDetailed(image=refine(self.image, faces, seeds, redrawer))

    def framing(self) -> "Framing":
        """Return how faces are cut out and laid back."""
        from nodes.sdxl.detail import Framing

        return Framing(
            native=self.model.size,
            size=self.size,
            padding=self.padding,
            blur=self.mask_blur,
            dilate=self.dilate,
            shift=(self.x_offset, -self.y_offset),
            only_masked=self.only_masked,
            merge=self.merge,
        )

    def drawing(self) -> "Drawing":
        """Return what every face is drawn with."""
        from nodes.sdxl.detail_redraw import Drawing

        return Drawing(
            conditioning=self.conditioning,
            guidance=self.guidance,
            denoise=max(self.denoise, 1 / self.steps),
            steps=self.steps,
            cfg=self.cfg,
            rescale=self.rescale,
            sampler=self.sampler,
            schedule=self.schedule,
        )
