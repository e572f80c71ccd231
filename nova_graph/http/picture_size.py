"""How large a picture is that a graph names."""

from engine.assets import Asset, Assets, Found
from engine.errors import AssetError
from nodes.pictures.formats import open_picture
from nova_graph.http.budget import PICTURE


def picture_size(assets: Assets, name: str) -> tuple[int, int] | None:
    """Return the (width, height) of a picture from its header; None where there is no such picture, or not yet."""
    try:
        found = assets.find(Asset(PICTURE, name))
        if not isinstance(found, Found) or found.path is None:
            return None
        return open_picture(found.path.read_bytes(), name).size
    except (AssetError, OSError):
        return None
