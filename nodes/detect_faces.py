"""Where the faces are."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.assets import AssetPort, Found
from engine.context import Context
from engine.errors import AssetMissing
from engine.node import Node, Output
from nodes.values import Boxes, Detector, Image, Weights

Ratio = Annotated[float, Field(ge=0, le=1)]

FAR = 4
"""How many times larger than a detector's own size a picture may be before it is worth a warning."""


class FacesDetected(Output):
    """What DetectFaces returns."""

    boxes: Boxes = Field(description="The faces of each picture, in the order in which they are to be refined.")


class DetectFaces(Node[FacesDetected]):
    """Find faces, or whatever else a YOLO detector was trained to find.

    Boxes too small or too large are dropped first, then all but the foremost `limit`, then they are put in order.
    """

    device: ClassVar[bool] = True

    image: Annotated[Image, Field(description="Pictures to look at.")]
    detector: Annotated[str, AssetPort("detector"), Field(description="auto, a path, or a name in models.lock.")] = (
        "auto"
    )
    confidence: Annotated[float, Field(gt=0, lt=1, description="How sure the detector must be.")] = 0.3
    min_ratio: Annotated[Ratio, Field(description="Smallest share of the picture's area that a box may cover.")] = 0.0
    max_ratio: Annotated[Ratio, Field(description="Largest share of the picture's area that a box may cover.")] = 1.0
    limit: Annotated[int, Field(ge=0, le=300, description="How many boxes to keep in each picture; 0 keeps all.")] = 0
    keep: Annotated[
        Literal["area", "confidence"], Field(description="Keep the largest or the surest where `limit` is set.")
    ] = "area"
    order: Annotated[
        Literal["none", "left-right", "center-edge", "area"],
        Field(description="Which to refine first; none: the surest, or as `keep` says where `limit` is set."),
    ] = "none"

    def run(self, ctx: Context) -> FacesDetected:
        """Find boxes in each picture of the batch."""
        from nodes.sdxl.detector_choice import foremost, ordered, within_ratio

        _, height, width, _ = self.image.pixels.shape
        size = (width, height)
        with ctx.resident(detector_in(ctx.asset("detector"))) as detector:
            if max(size) > FAR * detector.size:
                ctx.warn(
                    f"{self.detector}: this detector works at {detector.size} pixels, which is small for pictures of "
                    f"{width}x{height}: faces may be missed. docs/checkpoints.md tells how to get another."
                )
            found = detector.find_all(self.image, self.confidence, ctx.check)
        wanted = [within_ratio(boxes, size, self.min_ratio, self.max_ratio) for boxes in found]
        kept = [foremost(boxes, self.limit, self.keep) for boxes in wanted]
        return FacesDetected(boxes=Boxes(tuple(ordered(boxes, size, self.order) for boxes in kept)))


def detector_in(found: Found) -> Detector:
    """Return the handle of the detector in a file; whether a .pt may be used was settled where it was looked up."""
    if found.path is None:
        hint = "Write auto, a path, or a name in models.lock."
        raise AssetMissing(f"{found.asset.name!r} names no detector", hint=hint)
    return Detector(Weights(found.sha256, found.path.name), pickled=found.path.suffix.lower() == ".pt")
