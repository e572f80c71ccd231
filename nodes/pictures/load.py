"""A picture file to an image and a mask."""

from hashlib import sha256
from pathlib import Path

from engine.assets import RUN_AGAIN, Found
from engine.errors import AssetMissing, AssetRefused
from nodes.pictures.batches import join_pictures, single_mask
from nodes.pictures.decode import decode_picture
from nodes.pictures.formats import MAX_BYTES
from nodes.pictures.names import plain_name
from nodes.pictures.resize import Fit, resize_picture, resize_plane, target_size
from nodes.values import Image, Mask


def load_picture(found: Found, size: tuple[int | None, int | None], fit: Fit) -> tuple[Image, Mask]:
    """Read, decode and resize a file; `size` is the (width, height) asked for.

    The mask is 255 where the picture is clear and 0 where it is opaque. Raises AssetMissing, and AssetRefused also
    where the bytes read are not those that were hashed.
    """
    what = plain_name(found.asset.name)
    data = _read(found.path, what)
    if sha256(data).hexdigest() != found.sha256:
        raise AssetRefused(f"{what} was changed after the run was planned", hint=RUN_AGAIN)
    decoded = decode_picture(data, what)
    picture = decoded.picture
    own = (picture.width, picture.height)
    target = target_size(own, *size, fit=fit)
    if decoded.alpha is None:
        weight = bytes(target[0] * target[1])
    else:
        weight = resize_plane(decoded.alpha, "L", own, target, fit).translate(_INVERTED)
    image = join_pictures([resize_picture(picture, target, fit)])
    return image, single_mask(*target, weight)


_INVERTED = bytes(range(255, -1, -1))


def _read(path: Path | None, what: str) -> bytes:
    if path is None:
        raise AssetMissing(f"{what!r} names no picture", hint="Write the path of a PNG, JPEG or WebP file.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AssetRefused(f"{what} is larger than {MAX_BYTES // 2**20} MiB", hint="Make it smaller.")
        return path.read_bytes()
    except OSError as error:
        raise AssetMissing(f"{what} cannot be read: {error.strerror}") from error
