"""Pictures that were sent in over HTTP, on the Volume."""

from collections.abc import Callable
from dataclasses import dataclass

from nova_graph.http.uploads import Upload, Uploads


@dataclass(frozen=True, kw_only=True)
class VolumeUploads(Uploads):
    """A folder of pictures on the Volume: what was kept is seen by every container that looks from then on."""

    commit: Callable[[], None]

    def keep(self, owner: str, data: bytes) -> Upload:
        """Keep a picture that was checked; raises AssetRefused, UploadsFull, OSError."""
        upload = super().keep(owner, data)
        try:
            self.commit()
        except Exception as error:  # Modal raises errors of many classes
            raise OSError(f"the Volume does not take it: {type(error).__name__}: {error}") from error
        return upload
