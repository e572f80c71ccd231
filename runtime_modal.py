"""nova-graph on Modal: the same application, in containers with a GPU.

    modal run runtime_modal.py --prompt "1girl, solo, smile" --checkpoint nova-nano
    modal run runtime_modal.py::fetch_checkpoint
    modal deploy runtime_modal.py

This file only says what Modal needs to know; what the containers do is in nova_graph/modal/. docs/modal.md tells how to
set it up and what each NOVA_MODAL_* variable means.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modal
import modal.experimental

from engine.values import Json
from nova_graph.modal.containers import (
    fetch_default,
    import_and_load,
    open_front,
    open_studio,
    plain_errors,
    print_timing,
)
from nova_graph.modal.download_limit import limited
from nova_graph.modal.image import make_image
from nova_graph.modal.jobs import JobWriter
from nova_graph.modal.records import Stores
from nova_graph.modal.settings import DOWNLOAD, MOUNT, settings_or_exit
from nova_graph.modal.tickets import is_given_back
from nova_graph.modal.volume import Shared
from nova_graph.modal.wire import Message

BEGAN = time.time()
HOUR = 3600
LONGER = DOWNLOAD + 300
"""For who waits for a download, and is to hear that it took too long."""

Document = dict[str, Json]
"""`modal run` looks names in the hints of functions up in this file, `Json` among them."""

SETTINGS = settings_or_exit()

app = modal.App(SETTINGS.app)
image = make_image(SETTINGS)
volume = modal.Volume.from_name(SETTINGS.volume, create_if_missing=True)
secrets = [modal.Secret.from_name(SETTINGS.secret)] if SETTINGS.secret else []
jobs = Stores(
    records=modal.Dict.from_name(SETTINGS.jobs, create_if_missing=True),
    rest=modal.Dict.from_name(SETTINGS.job_events, create_if_missing=True),
)
shared = Shared(commit=volume.commit, reload=volume.reload)
region = SETTINGS.region or None


@app.cls(
    image=image,
    gpu=list(SETTINGS.gpus) or None,
    cpu=SETTINGS.cpu,
    memory=SETTINGS.memory,
    volumes={MOUNT: volume},
    secrets=secrets,
    min_containers=SETTINGS.min_containers,
    max_containers=SETTINGS.max_containers,
    scaledown_window=SETTINGS.scaledown,
    timeout=SETTINGS.timeout,
    startup_timeout=SETTINGS.startup,
    region=region,
    enable_memory_snapshot=SETTINGS.snapshot,
    experimental_options={"enable_gpu_snapshot": True} if SETTINGS.gpu_snapshot else {},
)
class NovaAnime:
    """Draws; one call at a time in each container, sync methods, so that a cancelled call leaves the models loaded."""

    @modal.enter(snap=SETTINGS.snapshot)
    def import_and_load(self) -> None:
        """Import, and where a snapshot is taken after this, load the usual checkpoint on the processor."""
        self.loaded = import_and_load()

    @modal.enter()
    def open(self) -> None:
        """Find the device and move the models there; after a snapshot this runs in every container."""
        leave = modal.experimental.stop_fetching_inputs
        self.studio = open_studio(SETTINGS, shared, leave, began=BEGAN, loaded=self.loaded)

    @modal.method()
    def run_graph(self, document: Document, previews: bool = False, ticket: str = "") -> Iterator[Message]:
        """Run a settled graph and tell of it as it happens, as in nova_graph/modal/wire.py.

        Whoever made up the `ticket` may give it back, as in nova_graph/modal/tickets.py, before the call has begun.
        """
        yield {"event": "call", "id": modal.current_function_call_id()}
        if not is_given_back(jobs.rest, ticket):
            yield from self.studio.draw(document, previews=previews)

    @modal.method()
    def draw(self, document: Document) -> list[Message]:
        """Run a settled graph and return all messages but progress; for `.spawn`."""
        return [message for message in self.studio.draw(document) if message["event"] != "progress"]

    @modal.method()
    def run_job(self, job_id: str, owner: str, document: Document, seconds: float | None = None) -> list[Message]:
        """Run a job of the HTTP service: its events and its end go where the web function looks."""
        messages = self.studio.draw(document, owner=owner, seconds=seconds)
        return JobWriter(jobs, job_id, tell_webhook.spawn).follow(messages)

    @modal.method()
    def predict(self, inputs: Document) -> list[bytes]:
        """Draw the default graph with these inputs; returns encoded pictures, raises RuntimeError.

        `nova_graph.modal.script.predict` checks them before a GPU starts.
        """
        with plain_errors():
            return self.studio.predict(inputs)

    @modal.method()
    def predict_one(self, inputs: Document) -> bytes:
        """Draw one picture of the default graph with these inputs; raises RuntimeError."""
        with plain_errors():
            return self.studio.predict(inputs, count=1)[0]

    @modal.method()
    def get_timing_report(self) -> Document:
        """Return how long the calls took that this container knows of; `timing_report` knows all, without a GPU."""
        return self.studio.timing_report()


@app.function(image=image, volumes={MOUNT: volume}, secrets=secrets, timeout=DOWNLOAD, max_containers=1, region=region)
def download(document: Document) -> Iterator[Message]:
    """Download what a graph needs; one container does so for all others."""
    yield from open_front(SETTINGS, shared).download(document)


@app.function(image=image, volumes={MOUNT: volume}, secrets=secrets, timeout=LONGER, region=region)
def fetch_checkpoint(checkpoint: str = "auto") -> str:
    """Download a checkpoint to the Volume, where that is still to do, and say where it is."""
    with plain_errors():
        return fetch_default(open_front(SETTINGS, shared, download=limited(download.remote_gen)), checkpoint)


@app.function(image=image, volumes={MOUNT: volume}, secrets=secrets, timeout=LONGER, region=region)
def prepare_all(documents: list[Document]) -> Iterator[Message]:
    """Check settled graphs, download what they need, and answer what is known already; never on a GPU."""
    yield from open_front(SETTINGS, shared, download=limited(download.remote_gen)).prepare(documents)


@app.function(image=image, volumes={MOUNT: volume}, secrets=secrets, region=region)
def timing_report() -> Document:
    """Print and return how long the calls of all containers took."""
    return print_timing(open_front(SETTINGS, shared))


@app.function(image=image, secrets=secrets, timeout=HOUR, region=region)
@modal.concurrent(max_inputs=100)
async def tell_webhook(owner: str, job_id: str) -> None:
    """Call the webhook of a job that is over."""
    from nova_graph.modal.telling import tell_webhook

    await tell_webhook(jobs, owner, job_id)


@app.function(
    image=image,
    volumes={MOUNT: volume},
    secrets=secrets,
    timeout=HOUR,
    scaledown_window=SETTINGS.scaledown,
    region=region,
)
@modal.concurrent(max_inputs=100)
@modal.asgi_app(requires_proxy_auth=SETTINGS.proxy_auth)
def web() -> Any:
    """Serve the HTTP API; a GPU container starts only for what is left to compute."""
    from nova_graph.modal.backend import ModalBackend
    from nova_graph.modal.web import make_web_app

    backend = ModalBackend(jobs, run=NovaAnime().run_job, tell=tell_webhook)
    return make_web_app(open_front(SETTINGS, shared, names_only=True), backend, shared)


@app.local_entrypoint()
def main(  # noqa: PLR0913, PLR0917 - the inputs of the graph, as typed flags
    prompt: str | None = None,
    negative: str | None = None,
    checkpoint: str | None = None,
    vae: str | None = None,
    width: int | None = None,
    height: int | None = None,
    steps: int | None = None,
    cfg: float | None = None,
    sampler: str | None = None,
    schedule: str | None = None,
    seed: int | None = None,
    count: int | None = None,
    pag_scale: float | None = None,
    rescale: float | None = None,
    weighting: str | None = None,
    clip_skip: int | None = None,
    face: bool = True,
    face_prompt: str | None = None,
    face_denoise: float | None = None,
    out: str = "outputs",
) -> None:
    """Draw the default graph in the cloud and save the pictures here; what is not given has the graph's default."""
    inputs: Document = {name: value for name, value in locals().items() if name != "out"}
    from nova_graph.modal.client import ModalRemote
    from nova_graph.modal.entry import draw_or_exit

    draw_or_exit(ModalRemote(SETTINGS, prepare_all, NovaAnime()), SETTINGS, inputs, Path(out))
