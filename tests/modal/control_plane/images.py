"""Images: recorded, never built."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import itertools
import re
import shlex
from collections.abc import AsyncIterator

from modal_proto import api_pb2

_INSTALL = re.compile(r"\buv pip install\b(.*)")
_DONE = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)


class Images:
    """Answers that every image is built, and tells what it was asked to hold."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.images: dict[str, api_pb2.Image] = {}

    async def ImageGetOrCreate(
        self, request: api_pb2.ImageGetOrCreateRequest, task: str
    ) -> api_pb2.ImageGetOrCreateResponse:
        known = next((name for name, image in self.images.items() if image == request.image), None)
        image = known or f"im-{next(self._ids)}"
        self.images[image] = request.image
        metadata = api_pb2.ImageMetadata(image_builder_version=request.builder_version)
        return api_pb2.ImageGetOrCreateResponse(image_id=image, result=_DONE, metadata=metadata)

    async def ImageJoinStreaming(
        self, request: api_pb2.ImageJoinStreamingRequest, task: str
    ) -> AsyncIterator[api_pb2.ImageJoinStreamingResponse]:
        yield api_pb2.ImageJoinStreamingResponse(result=_DONE)

    def commands(self, image: str) -> list[str]:
        """Return the commands of an image, its bases first."""
        found: list[str] = []
        for base in self.images[image].base_images:
            found.extend(self.commands(base.image_id))
        return [*found, *self.images[image].dockerfile_commands]

    def environ(self, image: str) -> dict[str, str]:
        """Return the environment variables that an image sets."""
        lines = [command.removeprefix("ENV ") for command in self.commands(image) if command.startswith("ENV ")]
        pairs = [word.partition("=") for line in lines for word in shlex.split(line)]
        return {name: value for name, equals, value in pairs if equals}

    def requirements(self, image: str) -> list[str]:
        """Return what pip was asked to install into an image, as `name==version`."""
        found = [_INSTALL.search(command) for command in self.commands(image)]
        words = [word for match in found if match for word in shlex.split(match[1])]
        return [word for word in words if "==" in word]
