"""Calling the webhook of a job that is over, in a small container of its own: it outlives the web container."""

from nodes.assets import read_settings
from nova_graph.http.privacy import Discretion, asset_secrets, own_folders
from nova_graph.http.settings import read_http_settings
from nova_graph.http.webhooks import Courier, Pace
from nova_graph.modal.backend import ModalBackend
from nova_graph.modal.documents import uploads_folder
from nova_graph.modal.records import Stores

LASTING = 50 * 60.0
"""How long after a job's end its webhook is called, in seconds; less than the function may run."""


async def tell_webhook(stores: Stores, owner: str, job_id: str) -> None:
    """Call a job's webhook until it is taken, and note that it was told."""
    settings, assets = read_http_settings(), read_settings(allow_paths=False, folders=())
    folders = own_folders(uploads_folder(assets), assets.cache, assets.models_lock.parent)
    discretion = Discretion((*settings.secrets, *asset_secrets(assets)), folders)
    backend = ModalBackend(stores, run=None, tell=None)
    await Courier(backend, settings, discretion, pace=Pace(lasting=LASTING)).tell(owner, job_id)
