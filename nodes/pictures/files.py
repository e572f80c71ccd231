"""A batch of pictures to a batch of files that say how they were made."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.provenance import Provenance
from nodes.pictures.batches import Picture, split_image
from nodes.pictures.encode import PARAMETERS, RECORD, encode_picture
from nodes.pictures.formats import MEDIA_TYPES, Format
from nodes.pictures.parameters import Defaults, describe_parameters
from nodes.pictures.record import PictureRecord, public_provenance
from nodes.values import File, Files, Image


@dataclass(frozen=True, slots=True)
class Story:
    """What a file says of its origin: how the picture came to be, which program writes it, what inputs default to."""

    provenance: Provenance
    program: str
    defaults: Defaults


def encode_files(
    image: Image, story: Story | None, file_format: Format, quality: int, check: Callable[[], None]
) -> Files:
    """Encode every picture of a batch; without a story the files carry no metadata.

    `check` is called before each picture and may raise Cancelled.
    """
    files: list[File] = []
    for index, picture in enumerate(split_image(image)):
        check()
        texts = _texts(story, picture, index, image.seeds) if story is not None else {}
        files.append(
            File(
                data=encode_picture(picture, file_format, quality, texts),
                media_type=MEDIA_TYPES[file_format],
                width=picture.width,
                height=picture.height,
                seed=_seed(image, index),
                pixel_sha256=picture.sha256,
            )
        )
    return Files(tuple(files))


def _seed(image: Image, index: int) -> int | None:
    return image.seeds[index] if index < len(image.seeds) else None


def _texts(story: Story, picture: Picture, index: int, seeds: tuple[int, ...]) -> dict[str, str]:
    provenance = public_provenance(story.provenance)
    record = PictureRecord(
        program=story.program,
        graph=provenance.graph,
        inputs=provenance.inputs,
        assets=list(provenance.assets),
        environment=provenance.environment,
        key=provenance.key,
        pixels=picture.sha256,
        width=picture.width,
        height=picture.height,
        index=index,
        seeds=list(seeds),
    )
    parameters = describe_parameters(
        provenance,
        story.defaults,
        size=(picture.width, picture.height),
        seed=record.seed,
        program=story.program,
    )
    texts = {PARAMETERS: parameters} if parameters else {}
    return {**texts, RECORD: record.text()}
