"""Secrets: environment variables by name."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import itertools

from grpclib import GRPCError, Status
from modal_proto import api_pb2


class Secrets:
    """Answers for secrets; tests put named ones into `named`. Containers that start see them as they are then."""

    def __init__(self) -> None:
        self.named: dict[str, dict[str, str]] = {}
        self.values: dict[str, dict[str, str]] = {}
        self._ids = itertools.count(1)

    async def SecretGetOrCreate(
        self, request: api_pb2.SecretGetOrCreateRequest, task: str
    ) -> api_pb2.SecretGetOrCreateResponse:
        if request.deployment_name and request.deployment_name not in self.named:
            raise GRPCError(Status.NOT_FOUND, f"Secret '{request.deployment_name}' not found in environment 'main'")
        secret = f"st-{next(self._ids)}"
        is_named = bool(request.deployment_name)
        self.values[secret] = self.named[request.deployment_name] if is_named else dict(request.env_dict)
        return api_pb2.SecretGetOrCreateResponse(secret_id=secret)
