"""Downloads that take longer than they may: no setting of the GPU containers has a part in that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modal.exception import FunctionTimeoutError

from engine.errors import FetchError
from nova_graph.modal.documents import Document
from nova_graph.modal.settings import DOWNLOAD
from nova_graph.modal.wire import Message

Download = Callable[[Document], Iterator[Message]]


@contextmanager
def download_limit() -> Iterator[None]:
    """Say which limit it was that a call without a GPU ran into; raises FetchError."""
    try:
        yield
    except FunctionTimeoutError:
        raise FetchError(
            f"the download took longer than the {DOWNLOAD} s that it may take",
            hint="Download the file yourself and put it on the Volume: docs/modal.md tells how.",
        ) from None


def limited(download: Download) -> Download:
    """Return the `download` of another container, with its time told where that was too short."""

    def call(document: Document) -> Iterator[Message]:
        with download_limit():
            yield from download(document)

    return call
