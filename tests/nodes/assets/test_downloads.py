"""Downloads from a server that cuts, lies and refuses."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from engine.assets import Found
from engine.errors import Cancelled, FetchError
from nodes.assets import LocalAssets, Settings
from nodes.assets.downloads import Downloads
from nodes.assets.origins import Origins
from nodes.assets.sources import checkpoint_url
from tests.nodes.assets.server import Behaviour, Request, page, redirect, serving, status, whole
from tests.nodes.assets.shop import (
    AUTO,
    IMPATIENT,
    assets_of,
    fetchable,
    found,
    ignore,
    put,
    settle,
    visible_files,
    weights,
    with_url,
)

DATA = weights(b"a picture model", pad=300_000)
OTHER = weights(b"a newer one", pad=300_000)


def fetch(settings: Settings, *behaviours: Behaviour) -> tuple[Found, list[dict[str, str]]]:
    with serving(*behaviours) as server:
        result = assets_of(with_url(settings, server.address())).fetch(AUTO, ignore)
        return result, server.headers


def refused(settings: Settings, *behaviours: Behaviour) -> tuple[str, int]:
    with serving(*behaviours) as server, pytest.raises(FetchError) as error:
        assets_of(with_url(settings, server.address())).fetch(AUTO, ignore)
    assert visible_files(settings.cache / "checkpoint") == []
    return str(error.value), len(server.paths)


def content(result: Found) -> bytes:
    assert result.path is not None
    return result.path.read_bytes()


def test_a_download_is_whole_named_hashed_and_then_found_in_the_cache(settings: Settings) -> None:
    with serving(whole(DATA)) as server:
        assets = assets_of(with_url(settings, server.address()))
        assert fetchable(assets, "checkpoint", "auto").how == f"CHECKPOINT_URL: {server.address()}"
        result = assets.fetch(AUTO, ignore)
        again = found(assets, "checkpoint", "auto")
        assert assets.fetch(AUTO, ignore).path == result.path
    assert result.path == settings.cache / "checkpoint" / "anime.safetensors"
    assert content(result) == DATA
    assert result.sha256 == again.sha256 == hashlib.sha256(DATA).hexdigest()
    assert again.how == f"cache: {result.path}, downloaded from {server.address()}"
    assert len(server.paths) == 1


def test_a_download_is_not_read_again(settings: Settings) -> None:
    def take_long(_done: int, _total: int | None, what: str) -> None:
        if what.endswith("(checking)"):
            (part,) = (settings.cache / "checkpoint" / ".part").glob("*.part")
            settle(part)

    with serving(whole(DATA)) as server:
        served = with_url(settings, server.address())
        result = assets_of(served).fetch(AUTO, take_long)
    read: list[str] = []
    assets = LocalAssets(served, reading=lambda done, total, what: read.append(what))
    assert found(assets, "checkpoint", "auto").sha256 == result.sha256
    assert read == []


def test_a_file_seen_for_the_first_time_is_read_with_progress(settings: Settings) -> None:
    path = put(settings.folders[0] / "anime.safetensors", DATA)
    settle(path)
    told: list[tuple[int, int | None, str]] = []
    assets = LocalAssets(settings, reading=lambda done, total, what: told.append((done, total, what)))
    found(assets, "checkpoint", "anime.safetensors")
    found(assets, "checkpoint", "anime.safetensors")
    assert told == [(done, len(DATA), path.name) for done in (0, len(DATA))]


def test_progress_counts_up_to_the_whole(settings: Settings) -> None:
    told: list[tuple[int, int | None]] = []
    with serving(whole(DATA)) as server:
        assets = assets_of(with_url(settings, server.address()))
        assets.fetch(AUTO, lambda done, total, what: told.append((done, total)))
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_cut_is_resumed_where_it_happened(settings: Settings) -> None:
    result, headers = fetch(settings, whole(DATA, stop=1000), whole(DATA, stop=200_000), whole(DATA))
    assert content(result) == DATA
    assert [header.get("range") for header in headers] == [None, "bytes=1000-", "bytes=200000-"]
    assert [header.get("if-range") for header in headers] == [None, '"one"', '"one"']


def test_many_cuts_are_borne_while_each_attempt_brings_something(settings: Settings) -> None:
    cuts = [whole(DATA, stop=stop) for stop in range(20_000, 220_000, 20_000)]
    result, headers = fetch(settings, *cuts, whole(DATA))
    assert content(result) == DATA
    assert len(headers) == len(cuts) + 1 > IMPATIENT.tries


def test_a_file_that_changed_meanwhile_starts_anew(settings: Settings) -> None:
    result, headers = fetch(settings, whole(DATA, stop=1000), whole(OTHER, etag='"two"'))
    assert content(result) == OTHER
    assert headers[1]["if-range"] == '"one"'


@pytest.mark.parametrize(
    "lie",
    [
        {"ETag": '"two"'},
        {"Content-Range": f"bytes 1000-{len(DATA)}/{len(DATA) + 1}"},
        {"Content-Range": f"bytes 999-{len(DATA) - 1}/{len(DATA)}"},
        {"Content-Range": "rubbish"},
    ],
)
def test_a_rest_that_does_not_fit_is_thrown_away(settings: Settings, lie: dict[str, str]) -> None:
    def ignores_if_range(request: Request) -> None:
        rest = {"Content-Length": str(len(DATA) - 1000), "ETag": '"one"'}
        rest["Content-Range"] = f"bytes 1000-{len(DATA) - 1}/{len(DATA)}"
        request.answer(206, rest | lie, DATA[1000:])

    result, headers = fetch(settings, whole(DATA, stop=1000), ignores_if_range, whole(DATA))
    assert content(result) == DATA
    assert "range" not in headers[2]


def test_without_etag_or_date_nothing_is_resumed(settings: Settings) -> None:
    result, headers = fetch(settings, whole(DATA, etag="", stop=1000), whole(DATA, etag=""))
    assert content(result) == DATA
    assert "range" not in headers[1]


def test_a_weak_etag_does_not_vouch_for_bytes_but_a_date_does(settings: Settings) -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    extra = {"ETag": 'W/"one"', "Last-Modified": date}
    _, headers = fetch(settings, whole(DATA, etag=date, extra=extra, stop=1000), whole(DATA, etag=date, extra=extra))
    assert headers[1]["if-range"] == date


def test_pieces_that_make_no_whole_are_fetched_once_more_in_one(settings: Settings) -> None:
    mixed = DATA[:1000] + bytes(len(DATA) - 1000)[:-1] + b"!"
    sha256 = hashlib.sha256(DATA).hexdigest()
    with serving(whole(DATA, stop=500), whole(mixed, stop=-1), whole(DATA)) as server:
        address = f"{server.address()}#sha256={sha256}"
        result = assets_of(with_url(settings, address)).fetch(AUTO, ignore)
    assert content(result) == DATA
    assert [header.get("range") for header in server.headers] == [None, "bytes=500-", None]


def test_a_part_that_is_already_whole_is_not_asked_for_again(settings: Settings) -> None:
    with serving(whole(DATA)) as server:
        configured = with_url(settings, server.address())

        def stop_when_checking(done: int, total: int | None, what: str) -> None:
            if "checking" in what:
                raise Cancelled

        with pytest.raises(Cancelled):
            assets_of(configured).fetch(AUTO, stop_when_checking)
        assert visible_files(settings.cache / "checkpoint") == []
        assert content(assets_of(configured).fetch(AUTO, ignore)) == DATA
    assert len(server.paths) == 1


def test_a_cancelled_download_is_resumed(settings: Settings) -> None:
    def cancel(done: int, total: int | None, what: str) -> None:
        if done > 0:
            raise Cancelled

    with serving(whole(DATA, stop=1000), whole(DATA)) as server:
        configured = with_url(settings, server.address())
        with pytest.raises(Cancelled):
            assets_of(configured).fetch(AUTO, cancel)
        assert visible_files(settings.cache / "checkpoint") == []
        assert content(assets_of(configured).fetch(AUTO, ignore)) == DATA
    assert [header.get("range") for header in server.headers] == [None, "bytes=1000-", "bytes=1000-"]


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_passing_troubles_pass(settings: Settings, code: int) -> None:
    result, headers = fetch(settings, status(code, {"Retry-After": "0"}), whole(DATA))
    assert content(result) == DATA
    assert len(headers) == 2


@pytest.mark.parametrize("code", [429, 500, 503])
def test_lasting_troubles_are_borne_so_often_and_no_more(settings: Settings, code: int) -> None:
    message, requests = refused(settings, status(code))
    assert f"the server is busy or broken ({code}); gave up" in message
    assert requests == IMPATIENT.tries


def test_a_server_that_asks_for_an_hour_is_not_waited_for(settings: Settings) -> None:
    message, requests = refused(settings, status(429, {"Retry-After": "3600"}))
    assert "it asks to wait 3600 s; gave up" in message
    assert requests == 1


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (401, "a signed link may have expired"),
        (403, "a signed link may have expired"),
        (404, "Check CHECKPOINT_URL."),
        (410, "Check CHECKPOINT_URL."),
        (400, "the server answers 400"),
        (206, "the server answers 206"),
    ],
)
def test_final_answers_are_final_and_say_what_to_do(settings: Settings, code: int, advice: str) -> None:
    message, requests = refused(settings, status(code))
    assert advice in message
    assert requests == 1


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (page(), "gives a web page, perhaps one to log in"),
        (status(200, {"Content-Type": "application/octet-stream"}, b"  <html>log in</html>"), "a web page came"),
        (status(200, body=b'{"error": "Unauthorized"}'), "what came is not a safetensors file"),
        (status(200, body=b"tiny"), "what came is not a .safetensors file"),
        (status(200, body=b""), "what came is not a .safetensors file"),
        (status(200, body=DATA[:-1]), "what came is cut off"),
        (status(200, body=DATA + b"!"), "has 1 bytes that its header does not explain"),
        (status(200, {"Content-Length": "1000"}, DATA), "what came is cut off"),
        (status(200, {"Content-Encoding": "gzip"}, DATA), "comes compressed"),
        (status(200, {"Content-Length": str(1 << 60)}, DATA), "bigger than"),
    ],
)
def test_what_is_no_whole_file_is_refused(settings: Settings, behaviour: Behaviour, reason: str) -> None:
    message, requests = refused(settings, behaviour)
    assert reason in message
    assert requests == 1


def test_a_length_that_never_comes_is_a_cut_each_time(settings: Settings) -> None:
    message, requests = refused(settings, status(200, {"Content-Length": str(len(DATA) + 5)}, DATA))
    assert "the connection was cut; gave up" in message
    assert requests == IMPATIENT.tries


def test_a_disk_that_is_too_small_is_noticed_before_the_download(settings: Settings, tmp_path: Path) -> None:
    huge = 1 << 58
    with serving(status(200, {"Content-Length": str(huge)}, DATA)) as server:
        source = checkpoint_url(with_url(settings, server.address()))
        downloads = Downloads(Origins(tmp_path / "origins"), IMPATIENT, limit=2 * huge)
        expected = f"needs {huge:,} more bytes, but {tmp_path / 'shelf'} has room for"
        with downloads.alone(source, tmp_path / "shelf", ignore), pytest.raises(FetchError, match=re.escape(expected)):
            downloads.get(source, tmp_path / "shelf", ignore)
    assert len(server.paths) == 1


def test_a_limit_holds_also_where_no_length_is_announced(settings: Settings, tmp_path: Path) -> None:
    def endless(request: Request) -> None:
        request.answer(200, {}, DATA)

    with serving(endless) as server:
        source = checkpoint_url(with_url(settings, server.address()))
        downloads = Downloads(Origins(tmp_path / "origins"), IMPATIENT, limit=100_000)
        with (
            downloads.alone(source, tmp_path / "shelf", ignore),
            pytest.raises(FetchError, match=r"100,000 bytes allowed"),
        ):
            downloads.get(source, tmp_path / "shelf", ignore)
    assert visible_files(tmp_path / "shelf") == []


def test_a_file_without_announced_length_is_checked_by_its_header(settings: Settings) -> None:
    result, _ = fetch(settings, lambda request: request.answer(200, {}, DATA))
    assert content(result) == DATA


def test_a_sha256_in_the_address_is_checked(settings: Settings) -> None:
    with serving(whole(DATA)) as server:
        address = f"{server.address()}#sha256={hashlib.sha256(OTHER).hexdigest()}"
        with pytest.raises(FetchError, match=r"what came has the sha256"):
            assets_of(with_url(settings, address)).fetch(AUTO, ignore)
    assert visible_files(settings.cache / "checkpoint") == []


def test_hugging_face_announces_the_sha256_on_its_redirect(settings: Settings) -> None:
    wrong = hashlib.sha256(OTHER).hexdigest()
    right = hashlib.sha256(DATA).hexdigest()
    with serving(whole(DATA)) as store, serving(redirect(store.address(), {"X-Linked-Etag": f'"{wrong}"'})) as hub:
        configured = replace(
            settings, hf_id="me/anime", hf_filename="v1/anime.safetensors", hf_endpoint=hub.address("")
        )
        with pytest.raises(FetchError, match=f"sha256 {right} instead of {wrong}"):
            assets_of(configured).fetch(AUTO, ignore)
        hub.behaviours = [redirect(store.address(), {"X-Linked-Etag": f'"{right}"'})]
        result = assets_of(configured).fetch(AUTO, ignore)
    assert hub.paths[0] == "/me/anime/resolve/main/v1/anime.safetensors"
    assert result.sha256 == right


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="nova.safetensors"', "nova.safetensors"),
        ('attachment; filename="../../etc/cron.d/evil.safetensors"', "evil.safetensors"),
        ('attachment; filename="..\\\\..\\\\evil.safetensors"', "evil.safetensors"),
        ('attachment; filename="/root/.ssh/authorized_keys"', "authorized_keys.safetensors"),
        ("attachment; filename*=UTF-8''nova%2Fna%00me%20.safetensors", "na_me.safetensors"),
        ('attachment; filename=".hidden.SAFETENSORS"', "hidden.safetensors"),
        ('attachment; filename="' + "n" * 400 + '.safetensors"', "n" * 108 + ".safetensors"),
        ('attachment; filename=".."', "weights.safetensors"),
    ],
)
def test_names_from_the_server_are_made_harmless(settings: Settings, header: str, name: str) -> None:
    result, _ = fetch(settings, whole(DATA, extra={"Content-Disposition": header}))
    assert result.path == settings.cache / "checkpoint" / name


def test_an_unreachable_server_is_tried_so_often_and_then_given_up(settings: Settings) -> None:
    with serving(whole(DATA)) as server:
        address = server.address()
    with pytest.raises(FetchError, match=r"there is no connection to the server; gave up"):
        assets_of(with_url(settings, address)).fetch(AUTO, ignore)


def test_a_cache_that_is_no_folder_is_explained(settings: Settings) -> None:
    settings.cache.write_text("in the way")
    with serving(whole(DATA)) as server, pytest.raises(FetchError, match=r"cannot be kept in .*Not a directory"):
        assets_of(with_url(settings, server.address())).fetch(AUTO, ignore)


def test_another_file_of_the_same_name_is_kept(settings: Settings, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "anime.safetensors").write_bytes(OTHER)
    with serving(whole(DATA)) as server:
        source = checkpoint_url(replace(settings, checkpoint_url=SecretStr(server.address())))
        downloads = Downloads(Origins(tmp_path / "origins"), IMPATIENT)
        with downloads.alone(source, shelf, ignore):
            result = downloads.get(source, shelf, ignore)
    assert (shelf / "anime.safetensors").read_bytes() == OTHER
    assert result.path.name == f"anime-{result.sha256[:8]}.safetensors"
