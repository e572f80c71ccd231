"""Services that several tests share."""

from collections.abc import Iterator

import httpx
import pytest

from tests.nova_graph.http.serving import Service, serving

KEYS = ("key-of-alice-0123456789", "key-of-bob-0123456789abc")
WEBHOOK_SECRET = "secret-of-webhooks-0123456789"
HF_TOKEN = 'hf-token-"0123456789\\'


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without keys, as it is after installing."""
    with serving(tmp_path_factory.mktemp("für-alle"), NOVA_CONNECTIONS_PER_ADDRESS="150") as running:
        yield running
        assert running.is_well()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of the service without keys."""
    with service.client() as one:
        yield one


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two keys, webhooks into this machine, and tight limits."""
    settings = {
        "NOVA_API_KEYS": ",".join(KEYS),
        "NOVA_RATE_LIMIT": "100000",
        "NOVA_OPEN_REQUESTS": "3",
        "NOVA_JOBS_PER_KEY": "3",
        "NOVA_MAX_BODY": "200000",
        "NOVA_MAX_UPLOAD": "100000",
        "NOVA_MAX_UPLOAD_PIXELS": "10000",
        "NOVA_UPLOADS_PER_KEY": "20000",
        "NOVA_MAX_PIXELS": "2000000",
        "NOVA_MAX_STEPS": "100",
        "NOVA_MAX_PROMPT": "500",
        "NOVA_MAX_NODES": "50",
        "NOVA_REQUEST_SECONDS": "1",
        "NOVA_PREDICT_SECONDS": "1",
        "NOVA_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "NOVA_WEBHOOK_NETWORKS": "127.0.0.1/32",
        "NOVA_WEBHOOK_HTTP": "1",
        "NOVA_CORS_ORIGINS": "https://pages.example",
        "CIVITAI_API_KEY": "civitai-key-0123456789",
        "HF_TOKEN": HF_TOKEN,
    }
    with serving(tmp_path_factory.mktemp("keyed"), **settings) as running:
        yield running
        assert running.is_well()


@pytest.fixture
def alice(keyed: Service) -> Iterator[httpx.Client]:
    """A client with the first key."""
    with keyed.client(KEYS[0]) as one:
        yield one


@pytest.fixture
def bob(keyed: Service) -> Iterator[httpx.Client]:
    """A client with the second key."""
    with keyed.client(KEYS[1]) as one:
        yield one
