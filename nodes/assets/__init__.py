"""Where weights and pictures are found: settings, search, downloads, hashes, models.lock, the environment."""

from nodes.assets.local import LocalAssets
from nodes.assets.settings import Settings, read_settings

__all__ = ["LocalAssets", "Settings", "read_settings"]
