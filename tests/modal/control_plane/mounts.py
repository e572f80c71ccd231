"""Uploaded files, and the folders in which containers see them."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import hashlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from modal_proto import api_pb2

from tests.modal.control_plane.blobs import Blobs


class Mounts:
    """Answers for uploads; contents lie in a folder by their sha256."""

    def __init__(self, folder: Path, blobs: Blobs) -> None:
        self._contents = folder / "contents"
        self._boxes = folder / "boxes"
        self._blobs = blobs
        self._ids = itertools.count(1)
        self.files: dict[str, tuple[api_pb2.MountFile, ...]] = {}
        self._contents.mkdir(parents=True)

    async def MountBatchedCheckExistence(
        self, request: api_pb2.MountBatchedCheckExistenceRequest, task: str
    ) -> api_pb2.MountBatchedCheckExistenceResponse:
        missing = [digest for digest in request.sha256_hex_hashes if not (self._contents / digest).exists()]
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    async def MountPutFile(self, request: api_pb2.MountPutFileRequest, task: str) -> api_pb2.MountPutFileResponse:
        content = self._blobs.contents[request.data_blob_id] if request.data_blob_id else request.data
        (self._contents / request.sha256_hex).write_bytes(content)
        return api_pb2.MountPutFileResponse(exists=True)

    async def MountGetOrCreate(
        self, request: api_pb2.MountGetOrCreateRequest, task: str
    ) -> api_pb2.MountGetOrCreateResponse:
        mount = f"mo-{next(self._ids)}"
        self.files[mount] = tuple(request.files)
        metadata = api_pb2.MountHandleMetadata(content_checksum_sha256_hex=mount)
        return api_pb2.MountGetOrCreateResponse(mount_id=mount, handle_metadata=metadata)

    def names(self, mounts: Iterable[str]) -> set[str]:
        """Return the paths that containers with these mounts see."""
        return {file.filename for mount in mounts for file in self.files[mount]}

    def box(self, mounts: Iterable[str]) -> Path:
        """Return a folder that stands for `/` of a container with these mounts; the same files give the same folder."""
        files = sorted({(file.filename, file.sha256_hex) for mount in mounts for file in self.files[mount]})
        box = self._boxes / hashlib.sha256(repr(files).encode()).hexdigest()[:16]
        if not box.exists():
            (box / "root").mkdir(parents=True)
            for name, digest in files:
                path = box / name.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(self._contents / digest, path)
        return box
