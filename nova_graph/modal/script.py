"""Drawing from a script: what goes to a GPU was checked here, and found not to be known already, before one starts."""

from collections.abc import Mapping

from engine.values import Json
from nova_graph.modal.client import deployed, modal_errors
from nova_graph.modal.documents import checked_inputs, default_document
from nova_graph.modal.drawing import draw
from nova_graph.modal.settings import CloudSettings, read_cloud_settings


def predict(inputs: Mapping[str, Json], settings: CloudSettings | None = None) -> list[bytes]:
    """Draw the default graph in the containers of the deployed app; returns encoded pictures.

    Without `settings`, the NOVA_MODAL_* variables say which app that is. Raises NovaError: GraphErrors for a mistake in
    the inputs, before anything is asked of Modal.
    """
    settled = default_document(inputs)
    cloud = settings if settings is not None else read_cloud_settings()
    with modal_errors(cloud):
        drawn = draw(deployed(cloud), settled, _tell_nobody, _tell_nobody)
    if drawn.error is not None:
        raise drawn.error
    return [file.data for file in drawn.files]


def predict_one(inputs: Mapping[str, Json], settings: CloudSettings | None = None) -> bytes:
    """Draw one picture of the default graph; see `predict`."""
    return predict({**checked_inputs(inputs), "count": 1}, settings)[0]


def _tell_nobody(_: object) -> None:
    """Take no notice."""
