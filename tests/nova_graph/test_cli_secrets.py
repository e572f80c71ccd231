"""Keys and signed links: used for a download, and nowhere to be found after the run."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.nodes.assets.server import serving, whole
from tests.nova_graph.command import PROGRAM, ROOT, Command

SECRETS = ("s1gnature-of-a-link", "passw0rd-of-a-user", "k3y-of-civitai", "t0ken-of-hugging-face")
NANO = ROOT / "nodes" / "sdxl" / "nano" / "nova-nano.safetensors"


def leaks(texts: Iterator[tuple[str, bytes]]) -> list[tuple[str, str]]:
    return [(place, secret) for place, text in texts for secret in SECRETS if secret.encode() in text]


def texts_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        yield str(path), str(path).encode()
        if path.is_file():
            yield str(path), path.read_bytes()


def test_no_secret_reaches_the_terminal_the_events_the_cache_or_the_picture(tmp_path: Path) -> None:
    command = Command(tmp_path)
    signature, password, key, token = SECRETS
    with serving(whole(NANO.read_bytes())) as server:
        address = server.address(f"/anime.safetensors?X-Amz-Signature={signature}&token={signature}")
        done = subprocess.run(
            [PROGRAM, "run", str(ROOT / "graphs" / "fast.yaml"), "--seed", "7", "--steps", "1", "--json"],
            cwd=tmp_path,
            env={
                **command.environ,
                "CHECKPOINT_URL": address.replace("http://", f"http://me:{password}@"),
                "CIVITAI_API_KEY": key,
                "HF_TOKEN": token,
                "NO_PROXY": "*",
            },
            capture_output=True,
            check=True,
        )
    assert signature in server.paths[0], "the link was not used, so nothing was tested"
    (picture,) = (tmp_path / "outputs").iterdir()
    assert b"127.0.0.1" in done.stderr, "the source is told"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert leaks(iter([("stdout", done.stdout), ("stderr", done.stderr)])) == []
    assert leaks(texts_in(tmp_path)) == []
