"""Large payloads, put and fetched over HTTP."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import asyncio
import hashlib
import itertools

from aiohttp import web
from modal_proto import api_pb2


class Blobs:
    """Answers where blobs go, and keeps them in memory."""

    def __init__(self) -> None:
        self.address = ""
        self.contents: dict[str, bytes] = {}
        self.locked: set[str] = set()
        """What nobody may have."""
        self.endless: set[str] = set()
        """What never arrives."""
        self.asked: set[str] = set()
        self.keys: dict[str, str] = {}
        """What was shown last to have a blob."""
        self._ids = itertools.count(1)

    async def BlobCreate(self, request: api_pb2.BlobCreateRequest, task: str) -> api_pb2.BlobCreateResponse:
        blob = f"bl-{next(self._ids)}"
        urls = api_pb2.UploadUrlList(items=[f"{self.address}/blobs/{blob}"])
        return api_pb2.BlobCreateResponse(blob_ids=[blob], upload_urls=urls)

    async def BlobGet(self, request: api_pb2.BlobGetRequest, task: str) -> api_pb2.BlobGetResponse:
        return api_pb2.BlobGetResponse(download_url=f"{self.address}/blobs/{request.blob_id}")

    async def put(self, request: web.Request) -> web.Response:
        content = await request.read()
        self.contents[request.match_info["blob"]] = content
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return web.Response(headers={"ETag": f'"{etag}"'})

    async def get(self, request: web.Request) -> web.Response:
        blob = request.match_info["blob"]
        self.asked.add(blob)
        self.keys[blob] = request.headers.get("Authorization", "")
        if blob in self.endless:
            await asyncio.Event().wait()
        return web.Response(status=403) if blob in self.locked else web.Response(body=self.contents[blob])
