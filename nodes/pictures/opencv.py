"""OpenCV, or what to do where it cannot be imported."""

from engine.errors import NovaError

try:
    import cv2
except ImportError as reason:  # pragma: no cover - happens on small images only
    raise NovaError(
        f"OpenCV, which finding faces and edges needs, cannot be imported: {reason}",
        hint="It wants system libraries that small images lack; on Debian: apt install libgl1 libglib2.0-0.",
    ) from reason

__all__ = ["cv2"]
