"""Named dicts, kept in memory."""

# ruff: noqa: N802 - methods are named as the requests they answer.

from collections.abc import AsyncIterator

from modal_proto import api_pb2


class Dicts:
    """Answers for dicts; keys and values are bytes that only the client understands."""

    def __init__(self) -> None:
        self.dicts: dict[str, dict[bytes, bytes]] = {}

    async def DictGetOrCreate(
        self, request: api_pb2.DictGetOrCreateRequest, task: str
    ) -> api_pb2.DictGetOrCreateResponse:
        name = f"di-{request.deployment_name}"
        self.dicts.setdefault(name, {})
        metadata = api_pb2.DictMetadata(name=request.deployment_name)
        return api_pb2.DictGetOrCreateResponse(dict_id=name, metadata=metadata)

    async def DictGet(self, request: api_pb2.DictGetRequest, task: str) -> api_pb2.DictGetResponse:
        value = self.dicts[request.dict_id].get(request.key)
        return api_pb2.DictGetResponse(found=value is not None, value=value)

    async def DictContains(self, request: api_pb2.DictContainsRequest, task: str) -> api_pb2.DictContainsResponse:
        return api_pb2.DictContainsResponse(found=request.key in self.dicts[request.dict_id])

    async def DictUpdate(self, request: api_pb2.DictUpdateRequest, task: str) -> api_pb2.DictUpdateResponse:
        values = self.dicts[request.dict_id]
        if request.if_not_exists and any(entry.key in values for entry in request.updates):
            return api_pb2.DictUpdateResponse(created=False)
        values.update({entry.key: entry.value for entry in request.updates})
        return api_pb2.DictUpdateResponse(created=True)

    async def DictPop(self, request: api_pb2.DictPopRequest, task: str) -> api_pb2.DictPopResponse:
        value = self.dicts[request.dict_id].pop(request.key, None)
        return api_pb2.DictPopResponse(found=value is not None, value=value)

    async def DictContents(self, request: api_pb2.DictContentsRequest, task: str) -> AsyncIterator[api_pb2.DictEntry]:
        for key, value in list(self.dicts[request.dict_id].items()):
            yield api_pb2.DictEntry(key=key, value=value)
