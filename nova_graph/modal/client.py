"""The calling side: the functions of runtime_modal.py, and what Modal's own errors mean."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from engine.errors import NovaError
from nova_graph.modal.documents import Document
from nova_graph.modal.download_limit import download_limit
from nova_graph.modal.settings import CloudSettings
from nova_graph.modal.tickets import give_back, new_ticket
from nova_graph.modal.wire import CloudError, Message

ARTIST = "NovaAnime"
"""The GPU class of runtime_modal.py."""

TOGETHER = 16
"""Calls that are begun, or cancelled, at the same time."""


@dataclass(frozen=True)
class ModalRemote:
    """The functions of runtime_modal.py: those of an app that runs for this command, or of a deployed one."""

    settings: CloudSettings
    prepare_function: Any
    artist: Any
    words: Any = None
    """The Modal Dict with word for containers that still start; None for an app that ends with its client."""

    def prepare(self, documents: Sequence[Document]) -> Generator[Message, None, None]:
        """Call the processor-only function, once for all graphs."""
        with download_limit():
            yield from self.prepare_function.remote_gen(list(documents))

    def run(self, document: Document, previews: bool) -> Generator[Message, None, None]:
        """Call the GPU class; a caller that stops listening cancels the call, or takes it back before it begins."""
        call_id, ticket = "", new_ticket()
        is_over = False
        try:
            for message in self.artist.run_graph.remote_gen(document, previews, ticket):
                if message.get("event") == "call":
                    call_id = message["id"]
                yield message
            is_over = True
        finally:
            if not is_over:
                self._stop(call_id, ticket)

    def _stop(self, call_id: str, ticket: str) -> None:
        import modal

        if call_id:
            cancel_call(call_id)
        elif self.words is not None:
            with suppress(modal.exception.Error):
                give_back(self.words, ticket)

    def run_all(self, documents: Sequence[Document]) -> Generator[list[Message] | NovaError, None, None]:
        """Spawn a call for each: Modal decides how many containers work on them. An error stands for what a call lost.

        A caller that stops listening cancels the calls that are not over. (A `.map` would go on without anybody.)
        """
        pool = ThreadPoolExecutor(TOGETHER, thread_name_prefix="nova-graph calls")
        calls: list[Future[Any]] = []
        over = 0
        try:
            for document in documents:
                calls.append(pool.submit(self.artist.draw.spawn, document))
                if len(calls) == 1:
                    wait(calls)  # the result that is yielded first is not to be the last in Modal's queue
            for call in calls:
                result = self._result(call)
                over += 1
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
            _cancel_all([call for call in calls[over:] if not call.cancelled()])

    def _result(self, call: Future[Any]) -> list[Message] | NovaError:
        try:
            with modal_errors(self.settings):
                result: list[Message] = call.result().get()
        except NovaError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the container's own exception, whatever class it has
            return CloudError(f"{type(error).__name__}: {error}", "fault")
        return result


def deployed(settings: CloudSettings) -> ModalRemote:
    """Return the functions of the deployed app; nothing is asked of Modal before the first call."""
    import modal

    artist = modal.Cls.from_name(settings.app, ARTIST)
    words = modal.Dict.from_name(settings.job_events)
    return ModalRemote(settings, modal.Function.from_name(settings.app, "prepare_all"), artist(), words)


@contextmanager
def modal_errors(settings: CloudSettings) -> Iterator[None]:
    """Say what Modal's own errors mean; raises CloudError."""
    from modal import exception

    try:
        yield
    except exception.NotFoundError as error:
        text = f"{settings.app} is not deployed, or was deployed by another version: {error}"
        raise CloudError(f"{text}\n  Deploy it: modal deploy runtime_modal.py", "fault") from None
    except exception.AuthError as error:
        raise CloudError(f"Modal does not know you: {error}\n  Run: modal token new", "fault") from None
    except exception.FunctionTimeoutError:
        text = f"the call took longer than {settings.timeout} s"
        raise CloudError(f"{text}\n  Set NOVA_MODAL_TIMEOUT and deploy again.", "fault") from None
    except exception.InternalFailure as error:
        raise CloudError(f"the container was lost: {error}\n  Run it again.", "fault") from None
    except exception.Error as error:
        raise CloudError(f"Modal: {type(error).__name__}: {error}", "fault") from None


def cancel_call(call_id: str) -> None:
    """Cancel a call; the container stays, with what it has loaded."""
    import modal

    with suppress(modal.exception.Error):
        modal.FunctionCall.from_id(call_id).cancel()


def _cancel_all(calls: Sequence[Future[Any]]) -> None:
    begun = [call.result().object_id for call in calls if call.exception() is None]
    with ThreadPoolExecutor(TOGETHER) as pool:
        for _ in pool.map(cancel_call, begun):
            pass
