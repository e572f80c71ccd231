"""Volumes: one folder of what is committed, and one folder for every container that has it mounted."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import itertools
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from grpclib import GRPCError, Status
from modal_proto import api_pb2

COMMITTED = "committed"


class Volumes:
    """Answers for volumes: a container sees what was committed when it started or last reloaded, and its own writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "volumes"
        self._ids = itertools.count(1)
        self.named: dict[str, str] = {}
        self.commits: list[tuple[str, str]] = []
        """Volume and container of every commit."""
        self.is_full = False
        """Whether commits are refused."""
        self.process_of: Callable[[str], int | None] = lambda task: None
        self.hindered: list[tuple[str, str]] = []
        """Container and file of every reload that was refused because the file was open or mapped."""

    async def VolumeGetOrCreate(
        self, request: api_pb2.VolumeGetOrCreateRequest, task: str
    ) -> api_pb2.VolumeGetOrCreateResponse:
        volume = self.named.setdefault(request.deployment_name, f"vo-{len(self.named) + 1}")
        metadata = api_pb2.VolumeMetadata(name=request.deployment_name)
        return api_pb2.VolumeGetOrCreateResponse(volume_id=volume, metadata=metadata)

    async def VolumeCommit(self, request: api_pb2.VolumeCommitRequest, task: str) -> api_pb2.VolumeCommitResponse:
        self.commits.append((request.volume_id, task))
        if self.is_full:
            raise GRPCError(Status.FAILED_PRECONDITION, "the volume is full")
        mirror(self._seen(request.volume_id, task), self.committed(request.volume_id), delete=False)
        return api_pb2.VolumeCommitResponse(skip_reload=True)

    async def VolumeReload(self, request: api_pb2.VolumeReloadRequest, task: str) -> Empty:
        seen, process = self._seen(request.volume_id, task), self.process_of(task)
        used = files_in_use(process, seen) if process is not None else []
        if used:
            self.hindered.append((task, used[0]))
            raise GRPCError(Status.FAILED_PRECONDITION, "there are open files preventing the operation")
        mirror(self.committed(request.volume_id), seen, delete=True)
        return Empty()

    def committed(self, volume: str) -> Path:
        """Return the folder of what every new container sees."""
        return self._made(self._folder / volume / COMMITTED)

    def mount(self, volume: str, task: str) -> Path:
        """Return a container's folder, filled with what is committed."""
        seen = self._seen(volume, task)
        mirror(self.committed(volume), seen, delete=True)
        return seen

    def _seen(self, volume: str, task: str) -> Path:
        return self._made(self._folder / volume / (task or "nobody"))

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def files_in_use(process: int, folder: Path) -> list[str]:
    """Return the files below a folder that a process has open or mapped."""
    found: set[str] = set()
    for handle in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found.add(str(handle.readlink()))
    mapped = (line.split(maxsplit=5) for line in Path(f"/proc/{process}/maps").read_text().splitlines())
    found.update(words[5] for words in mapped if len(words) == 6)
    return sorted(name for name in found if name.startswith(f"{folder}/"))


def mirror(source: Path, target: Path, *, delete: bool) -> None:
    """Copy files that are new or changed; with `delete`, remove what the source does not have."""
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif not _is_same(path, copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    if delete:
        for copy in sorted(target.rglob("*"), reverse=True):
            if not (source / copy.relative_to(target)).exists():
                copy.rmdir() if copy.is_dir() else copy.unlink()


def _is_same(path: Path, copy: Path) -> bool:
    if not copy.exists():
        return False
    one, other = path.stat(), copy.stat()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
