"""The record of how a picture was made: written into its file, read back from a stranger's."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine.errors import AssetRefused
from engine.provenance import Provenance
from engine.values import Json
from nodes.pictures.encode import EXIF_DESCRIPTION, EXIF_IFD, EXIF_USER_COMMENT, PARAMETERS, RECORD
from nodes.pictures.formats import DAMAGE, open_picture
from nodes.pictures.names import plain_name

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

COMFY = ("prompt", "workflow")
"""The chunks with which ComfyUI says how a picture was made: what ran, and what its page showed."""

_EXIF_COMFY = {"prompt": 0x0110, "workflow": 0x010F}
"""Where ComfyUI keeps them in a WebP: as model and maker of the camera."""

MAX_RECORD = 4 * 2**20
"""The longest record that is read, in characters."""


class PictureRecord(BaseModel):
    """How a picture was made; what the `nova_graph` text of a picture file holds, as JSON.

    `pixels` is the sha256 of the pixels as they were made (`Picture.sha256`), before a lossy format touched them.
    The picture is number `index` (from 0) of `seeds` or of its batch. `parameters` is the text beside the record.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    program: str
    graph: dict[str, JsonValue]
    inputs: dict[str, JsonValue]
    assets: list[dict[str, JsonValue]]
    environment: str
    key: str
    pixels: str
    width: int
    height: int
    index: int
    seeds: list[int]
    parameters: str = ""

    @property
    def seed(self) -> int | None:
        """The seed of this picture, where it has one."""
        return self.seeds[self.index] if 0 <= self.index < len(self.seeds) else None

    @property
    def provenance(self) -> Provenance:
        """The record as the engine's provenance."""
        return Provenance(self.graph, self.inputs, tuple(self.assets), self.environment, self.key)

    def text(self) -> str:
        """Return the record as one line of ASCII JSON; equal records give equal texts."""
        import json

        tree = self.model_dump(exclude={"parameters"})
        return json.dumps(tree, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def public_provenance(provenance: Provenance) -> Provenance:
    """Return a provenance without local paths: assets keep their file name and sha256, wherever they were named."""
    names = {str(asset.get("name")) for asset in provenance.assets}
    renamed: dict[str, str] = {name: plain_name(name) for name in names if plain_name(name) != name}
    graph, inputs = _renamed(provenance.graph, renamed), _renamed(provenance.inputs, renamed)
    assets = tuple({**asset, "name": plain_name(str(asset.get("name")))} for asset in provenance.assets)
    return Provenance(_tree(graph), _tree(inputs), assets, provenance.environment, provenance.key)


def read_metadata(data: bytes, what: str = "the picture") -> PictureRecord:
    """Read the record in a picture file without decoding its pixels.

    Raises AssetRefused, which calls the file `what`, where there is no record or it cannot be understood.
    """
    texts = read_texts(data, what)
    if RECORD not in texts:
        foreign = PARAMETERS in texts or any(name in texts for name in COMFY)
        hint = (
            "Another program made it: `nova-graph import` makes a graph of it."
            if foreign
            else "It was made by another program, saved again by one, or written with `metadata: none`."
        )
        raise AssetRefused(f"{what} holds no nova_graph record", hint=hint)
    if len(texts[RECORD]) > MAX_RECORD:
        raise AssetRefused(f"the nova_graph record of {what} is longer than {MAX_RECORD:,} characters")
    try:
        record = PictureRecord.model_validate_json(texts[RECORD])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the text"
        raise AssetRefused(f"the nova_graph record of {what} is malformed: {place}: {first['msg']}") from error
    return record.model_copy(update={"parameters": texts.get(PARAMETERS, "")})


def read_texts(data: bytes, what: str = "the picture") -> dict[str, str]:
    """Return the generation texts of a picture file, as far as it has any; raises AssetRefused."""
    image = open_picture(data, what)
    try:
        texts = _png_texts(image) if image.format == "PNG" else {}
        return {**_exif_texts(image), **texts}
    except DAMAGE as error:
        raise AssetRefused(f"the metadata of {what} is damaged: {error}", hint="Fetch or save it again.") from error


def _png_texts(image: "ImageFile") -> dict[str, str]:
    names = (PARAMETERS, RECORD, *COMFY)
    return {name: str(image.info[name]) for name in names if isinstance(image.info.get(name), str)}


def _exif_texts(image: "ImageFile") -> dict[str, str]:
    exif = image.getexif()
    texts: dict[str, str] = {}
    description, comment = exif.get(EXIF_DESCRIPTION), exif.get_ifd(EXIF_IFD).get(EXIF_USER_COMMENT)
    if isinstance(description, str) and description.startswith(f"{RECORD}:"):
        texts[RECORD] = description.removeprefix(f"{RECORD}:")
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):
        texts[PARAMETERS] = comment.removeprefix(b"UNICODE\0").decode("utf-16-be", "replace")
    for name, tag in _EXIF_COMFY.items():
        told = exif.get(tag)
        if isinstance(told, str) and told.startswith(f"{name}:"):
            texts[name] = told.removeprefix(f"{name}:")
    return texts


def _renamed(tree: Json, names: dict[str, str]) -> Json:
    if isinstance(tree, str):
        return names.get(tree, tree)
    if isinstance(tree, list):
        return [_renamed(item, names) for item in tree]
    if isinstance(tree, dict):
        return {key: _renamed(value, names) for key, value in tree.items()}
    return tree


def _tree(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
