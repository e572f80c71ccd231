"""`nova-graph submit`: run a graph on a service, and save its pictures here."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from pydantic import SecretStr

from engine.bound import Bound
from engine.errors import NovaError
from engine.values import Json
from engine.words import Words
from nodes.values import File
from nova_graph.cli.commands.inputs import print_flags
from nova_graph.cli.commands.run import Show, close_display, display, print_outputs
from nova_graph.cli.exits import UsageError
from nova_graph.cli.flags import read_flags, read_settings
from nova_graph.cli.interrupt import stopping
from nova_graph.cli.opening import Given, given_inputs, is_graph_file, open_graph, open_runtime
from nova_graph.cli.printing import say
from nova_graph.cli.saving import Saved, check_folder, check_out, save_files
from nova_graph.cli.summary import Summary
from nova_graph.http.client import ServiceClient
from nova_graph.http.heard import event_of

if TYPE_CHECKING:
    from nova_graph.cli.ndjson import Lines

KEY = "NOVA_API_KEY"
"""The variable with the key; a command line is no place for one."""

_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """Where the service is, and where pictures go."""

    url: str
    out: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job gave: outputs that are plain values, and pictures."""

    outputs: Mapping[str, object]
    files: list[File]


class JobFailed(NovaError):
    """A job did not come to its end."""


def submit_graph(given: Given, options: SubmitOptions, lines: "Lines | None") -> None:
    """Run a graph file, or a graph that the service knows by name; raises NovaError."""
    with open_client(options.url) as client:
        if is_graph_file(given.path):
            check_out([bound := _own_bound(given)], options.out)
            job = client.submit(sent_along(bound, Pictures(client)), {})
        else:
            check_folder(options.out)
            inputs = known_inputs(given, known_words(client.schema(str(given.path))))
            job = client.submit(str(given.path), sent_inputs(inputs, Pictures(client)))
        if lines is None:
            _print_origins(job)
        with stopping(lambda: stop_job(client, job["id"])):
            _follow_and_save(client, job, options.out, given.path.stem, lines)


def print_known_inputs(name: str, url: str) -> None:
    """Print the flags of a graph that the service knows by name; raises NovaError."""
    with open_client(url) as client:
        schema = client.schema(name)
    print_flags(name, str(schema.get("title", "")), known_words(schema))


def open_client(url: str) -> ServiceClient:
    """Return a client with the key of the environment; raises ServiceError."""
    return ServiceClient(url, SecretStr(os.environ.get(KEY, "")))


class Pictures:
    """Sends pictures of this machine to a service, each once."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._names: dict[str, str] = {}

    def name(self, written: str) -> str:
        """Return what the service calls a picture; a name that is no file here stays as it is. Raises NovaError."""
        if written not in self._names:
            self._names[written] = self._sent(written)
        return self._names[written]

    def _sent(self, written: str) -> str:
        path = Path(written)
        if not path.is_file():
            say(f"note: {written} is no file here; the service is asked for a picture of that name")
            return written
        kind = _PICTURES.get(path.suffix.lower())
        if kind is None:
            raise UsageError(f"{path} is not a PNG, JPEG or WebP picture", hint="Convert it to one of these.")
        try:
            return self._client.send_picture(path.read_bytes(), kind)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _own_bound(given: Given) -> Bound:
    """Settle a graph here, so that mistakes show with their places; raises UsageError, GraphErrors."""
    with open_runtime(on_disk=False) as runtime:
        graph = open_graph(given.path, runtime)
        return graph.bind(given_inputs(graph, given))


def sent_along(bound: Bound, pictures: Pictures) -> dict[str, Json]:
    """Send the pictures of this machine that a graph names; returns it with their names there. Raises NovaError."""
    from engine.document import document

    tree: Any = document(bound)
    for node, port, path, origin in _pictures(bound.nodes):
        name = pictures.name(path)
        if name == path:
            continue
        if origin is None:
            tree["nodes"][node]["inputs"][port] = name
        else:
            tree["inputs"][origin]["default"] = name
    settled: dict[str, Json] = tree
    return settled


def _pictures(nodes: Any) -> list[tuple[str, str, str, str | None]]:
    """Return (node, port, name, graph input) for every picture that a graph names."""
    from engine.bound import Literal

    found = []
    for node in nodes:
        for name, port in node.declaration.asset_inputs:
            binding = node.bindings.get(name)
            if port.asset.kind == "image" and isinstance(binding, Literal):
                found.append((node.id, name, str(binding.value), binding.origin))
    return found


def known_inputs(given: Given, words: Mapping[str, Words]) -> dict[str, Json]:
    """Return the inputs that the command line gives to a graph of the service; raises UsageError."""
    return {**read_flags(given.tokens, words, given.options), **read_settings(given.settings, words)}


def sent_inputs(inputs: Mapping[str, Json], pictures: Pictures) -> dict[str, Json]:
    """Return inputs as the service knows them: files of pictures among them are sent. Raises NovaError."""
    return {name: pictures.name(value) if _is_picture(value) else value for name, value in inputs.items()}


def _is_picture(value: Json) -> TypeGuard[str]:
    return isinstance(value, str) and Path(value).suffix.lower() in _PICTURES


def known_words(schema: Mapping[str, Any]) -> dict[str, dict[str, Json]]:
    """Return the declarations of inputs that a schema was made from."""
    words = dict(schema.get("properties", {}))
    for name, declared in words.items():
        if declared.get("format") == "seed":
            bounds = {key: value for key, value in declared["anyOf"][0].items() if key != "type"}
            told = {key: value for key, value in declared.items() if key in ("description", "default")}
            words[name] = {"type": "seed", **bounds, **told}
    return words


def _print_origins(job: Mapping[str, Any]) -> None:
    sys.stderr.write(f"job: {job['id']}\n")
    if "seed" in job["inputs"]:
        sys.stderr.write(f"seed: {job['inputs']['seed']}\n")


def _follow_and_save(
    client: ServiceClient, job: Mapping[str, Any], out: Path, stem: str, lines: "Lines | None"
) -> None:
    summary = Summary()
    saved: tuple[Saved, ...] = ()
    try:
        with display(lines) as show:
            ended = follow_job(client, job, summary, show)
        saved = save_files(ended.files, out, stem, datetime.now().astimezone())
    finally:
        close_display(summary, saved, lines)
    if lines is None:
        print_outputs(ended.outputs, saved)


def follow_job(client: ServiceClient, job: Mapping[str, Any], summary: Summary, show: Show) -> Ended:
    """Show what happens to a job until it is over, and fetch its pictures. Raises NovaError."""
    last: Mapping[str, Any] = {}
    for tree in client.events(job["id"]):
        last = tree
        event = event_of(tree)
        if event is not None:
            summary.take(event)
            show(event)
    ended = client.job(job["id"])
    if ended["state"] != "done":
        raise _failure(ended)
    if last.get("event") != "done":
        raise JobFailed(f"the events of the job {job['id']} ended early", hint="Its pictures are kept there.")
    return Ended(last.get("outputs", {}), _fetch(client, ended["images"], last.get("pictures", [])))


def stop_job(client: ServiceClient, job_id: str) -> None:
    """Ask a job to stop, and say so."""
    try:
        client.cancel(job_id)
    except NovaError as error:
        sys.stderr.write(f"\nThe job {job_id} was not told to stop: {error}\n")
        return
    sys.stderr.write("\nThe job stops after this step; press Ctrl-C again not to wait for it.\n")


def _failure(job: Mapping[str, Any]) -> NovaError:
    from engine.errors import Cancelled

    if job["state"] == "cancelled":
        return Cancelled("the job was cancelled")
    return JobFailed(f"the job failed: {job.get('error') or 'for no reason that is known'}")


def _fetch(client: ServiceClient, urls: list[str], about: list[Mapping[str, Any]]) -> list[File]:
    files = []
    for url, picture in zip(urls, about, strict=True):
        answer = client.picture(url)
        files.append(
            File(
                data=answer.content,
                media_type=answer.headers.get("content-type", ""),
                width=picture["width"],
                height=picture["height"],
                seed=picture["seed"],
                pixel_sha256=picture["pixel_sha256"],
            )
        )
    return files
