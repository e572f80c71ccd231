"""What Modal's own errors mean to whoever ran a graph."""

import re

import pytest
from modal import exception

from nova_graph.modal.client import modal_errors
from nova_graph.modal.settings import CloudSettings
from nova_graph.modal.wire import CloudError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (exception.NotFoundError("no app"), "mine is not deployed, or was deployed by another version: no app\n"),
        (exception.AuthError("no token"), "Modal does not know you: no token\n  Run: modal token new"),
        (exception.FunctionTimeoutError("late"), "the call took longer than 7 s\n  Set NOVA_MODAL_TIMEOUT and deploy"),
        (exception.InternalFailure("no memory"), "the container was lost: no memory\n  Run it again."),
        (exception.ResourceExhaustedError("full"), "Modal: ResourceExhaustedError: full"),
    ],
)
def test_errors_of_modal_are_told_with_what_to_do(error: exception.Error, told: str) -> None:
    with pytest.raises(CloudError, match=re.escape(told)), modal_errors(CloudSettings(app="mine", timeout=7)):
        raise error
