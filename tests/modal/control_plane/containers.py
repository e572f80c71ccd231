"""Containers: processes of the real entrypoint, started when a function has inputs and none is idle."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import asyncio
import itertools
import json
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from modal_proto import api_pb2

from tests.modal.control_plane.apps import App
from tests.modal.control_plane.calls import Calls, cancelled, lost
from tests.modal.control_plane.functions import Function
from tests.modal.control_plane.waiting import until

LONG = 3600.0


@dataclass
class Container:
    """One process; `printed` is its output."""

    task: str
    function: Function
    process: Process | None = None
    is_stopping: bool = False
    is_ready: bool = False
    """Whether it asked for an input already: its start is over."""
    is_preempted: bool = False
    """Whether its inputs go to another one when it is gone."""
    is_gone: bool = False
    result: api_pb2.GenericResult | None = None
    environ: dict[str, str] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Machine:
    """What a container needs of the plane: its command, folder and environment."""

    command: list[str]
    folder: Path
    environ: dict[str, str]


Prepare = Callable[[Function, str], Machine]


class Containers:
    """Answers what containers ask, and starts them."""

    def __init__(self, folder: Path, calls: Calls, apps: Mapping[str, App], prepare: Prepare) -> None:
        self._folder = folder / "tasks"
        self._folder.mkdir()
        self._calls = calls
        self._apps = apps
        self._prepare = prepare
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.functions: Mapping[str, Function] = {}
        self.layout: Callable[[str], api_pb2.AppLayout] = lambda app_id: api_pb2.AppLayout()
        self.containers: dict[str, Container] = {}
        self.room: dict[str, int] = {}
        """How many containers the functions of these names may have; others have one."""
        self.checkpoints = 0
        """How many containers took a snapshot of their memory."""

    def of(self, name: str) -> list[Container]:
        """Return the containers of a function that were ever started, in order."""
        return [each for each in self.containers.values() if each.function.name == name]

    def need(self, function_id: str) -> None:
        """Start containers until there is one for each input, or as many as there may be."""
        function = self.functions[function_id]
        mine = [each for each in self.containers.values() if each.function.id == function_id]
        ready = [each for each in mine if not each.is_gone and not each.is_stopping]
        inputs = len(self._calls.waiting(function_id)) + sum(len(self._calls.running(each.task)) for each in ready)
        for _ in range(min(max(inputs, 1), self.room.get(function.name, 1)) - len(ready)):
            container = Container(f"ta-{next(self._ids)}", function)
            self.containers[container.task] = container
            task = asyncio.get_running_loop().create_task(self._run(container))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop_app(self, app_id: str) -> None:
        """Let the containers of an app go that is over."""
        for container in self.containers.values():
            container.is_stopping = container.is_stopping or container.function.app_id == app_id

    def process_of(self, task: str) -> int | None:
        """Return the number of a container's process."""
        process = self.containers[task].process if task in self.containers else None
        return process.pid if process is not None else None

    def kill(self, task: str) -> None:
        """End a container as the kernel would when memory is out."""
        process = self.containers[task].process
        if process is not None and process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)

    def expire(self, task: str) -> None:
        """End a container whose input ran out of time."""
        result = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_TIMEOUT, exception="out of time")
        self.containers[task].result = result
        self.kill(task)

    def end(self, task: str) -> None:
        """End a container as the operator can, and its input with it."""
        result = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_TERMINATED, exception="app stopped")
        self.containers[task].result = result
        self.kill(task)

    def preempt(self, task: str) -> None:
        """Interrupt a container whose machine is needed for something else; its inputs run again elsewhere."""
        container = self.containers[task]
        container.is_preempted = container.is_stopping = True
        if container.process is not None and container.process.returncode is None:
            container.process.send_signal(signal.SIGINT)

    async def close(self) -> None:
        """End all containers."""
        for task in self.containers:
            self.kill(task)
        await asyncio.gather(*self._tasks)

    async def ContainerHello(self, request: Empty, task: str) -> Empty:
        return Empty()

    async def ContainerHeartbeat(
        self, request: api_pb2.ContainerHeartbeatRequest, task: str
    ) -> api_pb2.ContainerHeartbeatResponse:
        news = [each for each in self._calls.running(task) if each.is_cancelled and not each.was_told]
        if not news:
            return api_pb2.ContainerHeartbeatResponse()
        for each in news:
            each.was_told = True
        event = api_pb2.CancelInputEvent(input_ids=[each.id for each in news])
        return api_pb2.ContainerHeartbeatResponse(cancel_input_event=event)

    async def FunctionGetInputs(
        self, request: api_pb2.FunctionGetInputsRequest, task: str
    ) -> api_pb2.FunctionGetInputsResponse:
        container = self.containers[task]
        container.is_ready = True
        function_id = container.function.id
        await until(lambda: container.is_stopping or bool(self._calls.waiting(function_id)), LONG)
        if container.is_stopping:
            return api_pb2.FunctionGetInputsResponse(inputs=[api_pb2.FunctionGetInputsItem(kill_switch=True)])
        given = self._calls.waiting(function_id)[0]
        given.task = task
        item = api_pb2.FunctionGetInputsItem(
            input_id=given.id,
            input=given.content,
            function_call_id=given.call.id,
            function_call_invocation_type=given.call.kind,
        )
        return api_pb2.FunctionGetInputsResponse(inputs=[item])

    async def FunctionGetDynamicConcurrency(
        self, request: api_pb2.FunctionGetDynamicConcurrencyRequest, task: str
    ) -> api_pb2.FunctionGetDynamicConcurrencyResponse:
        return api_pb2.FunctionGetDynamicConcurrencyResponse(concurrency=request.target_concurrency)

    async def ContainerStop(self, request: api_pb2.ContainerStopRequest, task: str) -> api_pb2.ContainerStopResponse:
        self.containers[request.task_id].is_stopping = True
        return api_pb2.ContainerStopResponse()

    async def ContainerCheckpoint(self, request: api_pb2.ContainerCheckpointRequest, task: str) -> Empty:
        self.checkpoints += 1
        path = self._restore_path(task)
        path.with_suffix(".part").write_text(json.dumps({"task_id": task}))
        path.with_suffix(".part").rename(path)
        return Empty()

    async def TaskResult(self, request: api_pb2.TaskResultRequest, task: str) -> Empty:
        self.containers[task].result = request.result
        return Empty()

    async def _run(self, container: Container) -> None:
        machine = self._prepare(container.function, container.task)
        container.environ = {**machine.environ, **self._own_environ(container)}
        container.process = await asyncio.create_subprocess_exec(
            *machine.command,
            cwd=machine.folder,
            env=container.environ,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        assert container.process.stdout is not None
        async for line in container.process.stdout:
            text = line.decode(errors="replace")
            container.printed.append(text)
            self._apps[container.function.app_id].logs.append(text)
        await container.process.wait()
        container.is_gone = True
        self._settle(container)

    def _settle(self, container: Container) -> None:
        """End what a container that is gone leaves behind."""
        function_id = container.function.id
        why = container.result or lost("the container ended: " + "".join(container.printed[-5:]))
        for given in self._calls.running(container.task):
            if container.is_preempted:
                given.task = ""
                continue
            self._calls.finish(given, cancelled() if given.is_cancelled else why)
        for given in self._calls.waiting(function_id):
            if not container.is_ready:
                self._calls.finish(given, why)
            else:
                self.need(function_id)

    def _own_environ(self, container: Container) -> dict[str, str]:
        definition = api_pb2.Function()
        definition.CopyFrom(container.function.definition)
        takes_snapshot = definition.checkpointing_enabled and self._apps[container.function.app_id].name != ""
        definition.is_checkpointing_function = takes_snapshot
        arguments = api_pb2.ContainerArguments(
            task_id=container.task,
            function_id=container.function.id,
            app_id=container.function.app_id,
            function_def=definition,
            checkpoint_id=f"ch-{container.task}" if takes_snapshot else "",
            app_layout=self.layout(container.function.app_id),
            environment_name="main",
        )
        path = self._folder / f"{container.task}.arguments"
        path.write_bytes(arguments.SerializeToString())
        return {
            "MODAL_TASK_ID": container.task,
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(path),
            "MODAL_ENABLE_SNAP_RESTORE": "1" if takes_snapshot else "",
            "MODAL_RESTORE_STATE_PATH": str(self._restore_path(container.task)),
        }

    def _restore_path(self, task: str) -> Path:
        return self._folder / f"{task}.restored"
