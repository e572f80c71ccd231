"""Keys go where they belong and nowhere else, and are never shown."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from engine.errors import FetchError, NovaError
from nodes.assets import Settings, read_settings
from nodes.assets.addresses import carries_secret, identify, may_carry_keys, show_address
from nodes.assets.part import Part
from nodes.assets.replies import check_reply
from nodes.assets.sources import checkpoint_url, hugging_face, key_for
from tests.nodes.assets.server import Behaviour, page, redirect, serving, status, whole
from tests.nodes.assets.shop import AUTO, assets_of, ignore, weights, with_url

DATA = weights(pad=1000)
KEY = "k3y-0f-civitai"
TOKEN = "hf_t0ken"
SIGNATURE = "s1gnature"
PASSWORD = "passw0rd"
SECRETS = (KEY, TOKEN, SIGNATURE, PASSWORD)


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("civitai.com", KEY),
        ("www.civitai.com", KEY),
        ("evilcivitai.com", ""),
        ("civitai.com.evil.example", ""),
        ("civitai.example", ""),
        ("huggingface.co", TOKEN),
        ("cdn.huggingface.co", ""),
        ("models.example", ""),
    ],
)
def test_each_host_gets_its_own_key_only(settings: Settings, host: str, key: str) -> None:
    keyed = replace(settings, civitai_key=SecretStr(KEY), hf_token=SecretStr(TOKEN))
    assert key_for(keyed, host).get_secret_value() == key
    source = checkpoint_url(replace(keyed, checkpoint_url=SecretStr(f"https://{host}/a.safetensors")))
    assert source.key.get_secret_value() == key


def test_the_key_is_sent_in_a_header_and_survives_a_redirect_on_the_same_host(settings: Settings) -> None:
    configured = replace(settings, civitai_hosts=("127.0.0.1",))
    with serving(redirect("/real.safetensors"), whole(DATA)) as server:
        assets_of(with_url(configured, server.address(), KEY)).fetch(AUTO, ignore)
    assert [header.get("authorization") for header in server.headers] == [f"Bearer {KEY}"] * 2
    assert not any(KEY in path for path in server.paths)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_other_host_or_port_sees_the_key(settings: Settings, host: str) -> None:
    configured = replace(settings, civitai_hosts=("127.0.0.1",))
    with serving(whole(DATA)) as store, serving(redirect(store.address(host=host))) as shop:
        assets_of(with_url(configured, shop.address(), KEY)).fetch(AUTO, ignore)
    assert shop.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in store.headers[0]


def test_hosts_without_a_key_get_none(settings: Settings) -> None:
    keyed = replace(settings, hf_token=SecretStr(TOKEN))
    with serving(whole(DATA)) as server:
        assets_of(with_url(keyed, server.address(), KEY)).fetch(AUTO, ignore)
    assert "authorization" not in server.headers[0]


def test_hugging_face_gets_its_token(settings: Settings) -> None:
    with serving(whole(DATA)) as store, serving(redirect(store.address())) as hub:
        configured = replace(
            settings,
            hf_endpoint=hub.address(""),
            hf_id="me/anime",
            hf_filename="anime.safetensors",
            hf_revision="refs/pr/1",
            hf_token=SecretStr(TOKEN),
        )
        assets_of(configured).fetch(AUTO, ignore)
    assert hub.paths == ["/me/anime/resolve/refs%2Fpr%2F1/anime.safetensors"]
    assert hub.headers[0]["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in store.headers[0]


def test_a_key_is_not_sent_unencrypted(settings: Settings) -> None:
    assert may_carry_keys("https://civitai.com/x")
    assert not may_carry_keys("http://civitai.com/x")
    with pytest.raises(FetchError, match=r"http://civitai.com/x is not encrypted, so the key is not sent"):
        assets_of(with_url(settings, "http://civitai.com/x", KEY)).fetch(AUTO, ignore)


def test_redirects_away_from_https_are_refused(settings: Settings, tmp_path: Path) -> None:
    first = httpx.Response(302, request=httpx.Request("GET", "https://models.example/a.safetensors"))
    last = httpx.Response(200, request=httpx.Request("GET", "http://models.example/a.safetensors"), history=[first])
    source = checkpoint_url(with_url(settings, "https://models.example/a.safetensors"))
    with pytest.raises(FetchError, match=r"leads away from https, to models\.example"):
        check_reply(last, source, Part(tmp_path, source.identity), 0)


@pytest.mark.parametrize("target", ["ftp://host/x", "file:///etc/passwd", "http://[", "http:///x"])
def test_redirects_to_elsewhere_than_the_web_are_refused(settings: Settings, target: str) -> None:
    with serving(redirect(target)) as server, pytest.raises(FetchError):
        assets_of(with_url(settings, server.address())).fetch(AUTO, ignore)


def test_redirects_without_end_are_refused(settings: Settings) -> None:
    with serving(redirect("/anime.safetensors")) as server, pytest.raises(FetchError, match=r"redirects without end"):
        assets_of(with_url(settings, server.address())).fetch(AUTO, ignore)


@pytest.mark.parametrize(
    ("key", "advice"),
    [("", "Set CIVITAI_API_KEY to a key made on"), (KEY, "CIVITAI_API_KEY was sent: check on")],
)
@pytest.mark.parametrize("behaviour", [status(401), status(403), page()])
def test_civitai_says_what_to_do_about_its_key(settings: Settings, behaviour: Behaviour, key: str, advice: str) -> None:
    configured = replace(settings, civitai_hosts=("127.0.0.1",))
    with serving(behaviour) as server, pytest.raises(FetchError) as error:
        assets_of(with_url(configured, server.address(), key)).fetch(AUTO, ignore)
    assert advice in error.value.hint


def test_a_page_of_a_model_is_answered_with_the_link_to_its_file(settings: Settings) -> None:
    configured = replace(settings, civitai_hosts=("127.0.0.1",))
    with serving(page()) as server, pytest.raises(FetchError) as error:
        assets_of(with_url(configured, server.address("/models/1?modelVersionId=42"))).fetch(AUTO, ignore)
    assert "https://civitai.com/api/download/models/42" in error.value.hint


@pytest.mark.parametrize(("token", "advice"), [("", "Set HF_TOKEN"), (TOKEN, "HF_TOKEN was sent")])
def test_hugging_face_says_what_to_do_about_its_token(settings: Settings, token: str, advice: str) -> None:
    configured = replace(settings, hf_id="me/anime", hf_filename="a.safetensors", hf_token=SecretStr(token))
    source = hugging_face(configured)
    assert advice in source.denied
    assert "accept the licence" in source.denied
    assert "https://huggingface.co/me/anime" in source.denied
    assert "me/anime" in source.absent


def test_two_links_to_one_file_are_one_source() -> None:
    first = "https://u:p@bucket.example/a.safetensors?X-Amz-Signature=1&X-Amz-Date=2&type=Model#sha256=3"
    second = "https://bucket.example/a.safetensors?type=Model&X-Amz-Signature=9&Expires=8&token=7"
    assert identify(first) == identify(second) == "https://bucket.example/a.safetensors?type=Model"
    assert show_address(first) == "https://bucket.example/a.safetensors"
    assert carries_secret(first)
    assert carries_secret(second)
    assert not carries_secret("https://civitai.com/api/download/models/1?type=Model&format=SafeTensor")


TROUBLES: list[Behaviour] = [
    whole(DATA),
    status(401),
    status(404),
    status(418),
    status(500),
    status(429, {"Retry-After": "9999"}),
    page(),
    redirect(f"/x.safetensors?token={KEY}"),
    redirect(f"ftp://host/{SIGNATURE}"),
    status(200, body=f"Bearer {KEY}".encode()),
    status(200, {"Content-Length": "99999999"}, DATA),
    status(200, {"Content-Encoding": KEY}, DATA),
    lambda request: None,
    lambda request: request.wfile.write(f"HTTP/1.1 {SIGNATURE} {KEY}\r\n\r\n".encode()),
]


@pytest.mark.parametrize("behaviour", TROUBLES)
def test_nothing_that_is_raised_said_or_kept_holds_a_secret(
    settings: Settings, behaviour: Behaviour, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with serving(behaviour) as server:
        address = f"http://me:{PASSWORD}@127.0.0.1:{server.port}/anime.safetensors?X-Amz-Signature={SIGNATURE}"
        configured = replace(with_url(settings, address, KEY), civitai_hosts=("127.0.0.1",), hf_token=SecretStr(TOKEN))
        assets = assets_of(configured)
        said += [repr(configured), repr(assets.place(AUTO)), repr(assets.find(AUTO))]
        try:
            said.append(repr(assets.fetch(AUTO, lambda done, total, what: said.append(what))))
        except NovaError as error:
            said += [repr(link) + str(link) + str(vars(link)) for link in _chain(error)]
    said += [caplog.text, *capfd.readouterr()]
    said += [path.read_text() + path.name for path in settings.cache.rglob("*.json")]
    assert server.paths
    assert [text for text in said if any(secret in text for secret in SECRETS)] == []


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_settings_from_the_environment_hide_their_secrets() -> None:
    settings = read_settings(
        {"CIVITAI_API_KEY": KEY, "HF_TOKEN": TOKEN, "CHECKPOINT_URL": f"https://x/y?sig={SIGNATURE}", "HOME": "/root"}
    )
    assert settings.civitai_key.get_secret_value() == KEY
    assert not any(secret in repr(settings) for secret in SECRETS)
