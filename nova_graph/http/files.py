"""`/v1/files`: pictures for graphs to work on; nobody sees those of another key."""

import asyncio
import logging
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from engine.errors import AssetRefused
from nodes.pictures.decode import decode_picture
from nodes.pictures.formats import open_picture
from nova_graph.http.bodies import media_type, read_bytes, wrong_media_type
from nova_graph.http.desk import Desk
from nova_graph.http.kinds import ASSET
from nova_graph.http.problems import Trouble, documented
from nova_graph.http.shared import Owner, Parts
from nova_graph.http.uploads import MEDIA_TYPES, Upload, Uploads, UploadsFull
from nova_graph.http.views import FilesView, FileView, answer, file_view

router = APIRouter(tags=["files"])

PICTURES = tuple(MEDIA_TYPES.values())
FileName = Annotated[str, Path(pattern="^[0-9a-f]{64}\\.(png|jpg|webp)$", description="The name it was given.")]

HOUR: Final = 3600.0

_log = logging.getLogger("nova_graph.http")
_WHAT = "the picture"
_BODY = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES}


@router.post(
    "/v1/files",
    status_code=201,
    response_class=Response,
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
    responses={201: {"model": FileView, "description": "It is kept."}, **documented(413, 415, 422, 507)},
)
async def send_file(request: Request, owner: Owner, parts: Parts) -> Response:
    """Send in a PNG, JPEG or WebP picture as the body; graphs then name it as the answer says, for seven days."""
    if media_type(request) not in PICTURES:
        raise wrong_media_type(*PICTURES)
    most = parts.settings.upload_pixels
    with parts.limits.body(owner) as take:
        data = await read_bytes(request, parts.settings.upload, take)
        upload, size = await parts.desk.do(lambda: keep_picture(parts.uploads, owner, data, most))
    return answer(file_view(upload, size), 201)


@router.get("/v1/files", response_model=FilesView, responses=documented())
async def list_files(owner: Owner, parts: Parts) -> Response:
    """List the pictures you sent in, the newest first."""
    uploads = await parts.desk.do(lambda: parts.uploads.list(owner))
    return answer(FilesView(files=[file_view(upload) for upload in uploads]))


@router.delete(
    "/v1/files/{name}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "It is gone."}, **documented(404, 422)},
)
async def remove_file(owner: Owner, parts: Parts, name: FileName) -> Response:
    """Remove a picture you sent in."""
    if not await parts.desk.do(lambda: parts.uploads.remove(owner, name)):
        raise Trouble(404, "There is no such file.")
    return Response(status_code=204)


async def expire_uploads(desk: Desk) -> None:
    """Remove the pictures whose time is over, now and every hour."""
    while True:
        try:
            await desk.do(desk.uploads.expire)
        except OSError as error:
            _log.warning("old pictures cannot be removed: %s", error)
        await asyncio.sleep(HOUR)


def keep_picture(uploads: Uploads, owner: str, data: bytes, most_pixels: int) -> tuple[Upload, tuple[int, int]]:
    """Check a picture by decoding it, and keep it; returns its size in pixels. Raises Trouble."""
    try:
        size = _checked_size(data, most_pixels)
        return uploads.keep(owner, data), size
    except AssetRefused as refused:
        raise Trouble(422, f"{refused.message}.", kind=ASSET, hint=refused.hint) from None
    except UploadsFull as full:
        raise Trouble(507, f"There is no room for the picture: {full}.", hint="Remove some of yours.") from None
    except OSError:
        raise Trouble(507, "The picture cannot be kept: the disk does not take it.") from None


def _checked_size(data: bytes, most_pixels: int) -> tuple[int, int]:
    width, height = open_picture(data, _WHAT).size
    if width * height > most_pixels:
        raise AssetRefused(f"{_WHAT} has {width} x {height} pixels, more than {most_pixels:,}", hint="Make it smaller.")
    decoded = decode_picture(data, _WHAT).picture
    return decoded.width, decoded.height
