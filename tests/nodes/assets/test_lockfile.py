"""models.lock: strict to read, the same when written and read again, safe to write at once."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import AssetMissing, AssetRefused
from nodes.assets.lockfile import Entry, check_entry, format_lock, read_lock, write_entry

ENTRY = Entry(kind="lora", file="sketch.safetensors", sha256="a" * 64, size=3)

NAMES = st.text(max_size=30)
FILES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, [*range(32), 127]))))
URLS = st.sampled_from(["", "https://models.example/a.safetensors", "http://h/api/download/models/1?type=Model"])
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(["checkpoint", "vae", "detector", "lora", "embedding", "controlnet", "upscaler"]),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 2**63 - 1),
    file=FILES,
    url=URLS,
)


@given(entries=st.dictionaries(NAMES, ENTRIES, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Entry]) -> None:
    sound = {name: entry for name, entry in entries.items() if not check_entry(name, entry)}
    path = tmp_path_factory.getbasetemp() / "round-trip.lock"
    path.write_text(format_lock(sound), encoding="utf-8")
    assert dict(read_lock(path)) == sound


@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.lock"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(AssetRefused, match=r"junk\.lock"):
        read_lock(path)


def test_it_is_pleasant_to_read(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    write_entry(path, "sketch", ENTRY, tmp_path / "guards")
    write_entry(
        path,
        "nova",
        Entry(kind="checkpoint", url="https://models.example/nova.safetensors", sha256="b" * 64, size=6_938_040_682),
        tmp_path / "guards",
    )
    assert path.read_text() == (
        "# Which weights a name stands for; `nova-graph models` adds to it and verifies it.\n"
        "version = 1\n"
        "\n"
        '[models."nova"]\n'
        'kind = "checkpoint"\n'
        'url = "https://models.example/nova.safetensors"\n'
        f'sha256 = "{"b" * 64}"\n'
        "size = 6938040682\n"
        "\n"
        '[models."sketch"]\n'
        'kind = "lora"\n'
        'file = "sketch.safetensors"\n'
        f'sha256 = "{"a" * 64}"\n'
        "size = 3\n"
    )


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "models.lock") == {}


HEAD = "version = 1\n[models.a]\n"
REST = f'kind = "lora"\nfile = "x"\nsha256 = "{"a" * 64}"\nsize = 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: version must be 1"),
        ("version = 2\n", ":1: version must be 1"),
        ("version = true\n", ":1: version must be 1"),
        ("version = 1\nmodel = 3\n", ":2: unknown key 'model'"),
        ("version = 1\nmodels = 3\n", ":2: models must be tables"),
        ("version = 1\n[models\n", "at line 2, column 8"),
        (HEAD + REST + HEAD[12:] + REST, "at line 7"),
        ("version = 1\nmodels.a = 3\n", ":2: a: must be a table"),
        (HEAD + REST + 'path = "x"\n', ":2: a: unknown key 'path'; known are kind, file, url, sha256, size"),
        (HEAD + 'kind = "lora"\nsize = 1\n', ":2: a: sha256 is missing"),
        (HEAD + REST.replace("size = 1", "size = true"), ":2: a: size must be a whole number"),
        (HEAD + REST.replace('"x"', "1"), ":2: a: size must be a whole number, everything else text"),
        (HEAD + REST.replace('"x"', '""'), ":2: a: file or url must say where it is"),
        (
            HEAD + REST.replace("lora", "image"),
            ":2: a: kind must be one of checkpoint, vae, detector, lora, embedding, controlnet, upscaler",
        ),
        (HEAD + REST.replace("a" * 64, "A" * 64), ":2: a: sha256 must be 64 digits"),
        (HEAD + REST.replace("size = 1", "size = -1"), ":2: a: size must be a number of bytes"),
        (
            HEAD.replace("[models.a]", r'[models."an \"a\" é"]') + REST.replace("size = 1", "size = -1"),
            ':2: an "a" é: size must be a number of bytes',
        ),
        (HEAD + REST + 'url = "s3://x/y"\n', ":2: a: url is not an address"),
        (HEAD + REST + 'url = "https://x/y?token=1"\n', ":2: a: url has a key or a password in it"),
        (HEAD + REST + 'url = "https://me:pw@x/y"\n', ":2: a: url has a key or a password in it"),
        (HEAD.replace("[models.a]", '[models."../a"]') + REST, ":2: ../a: a name begins with a letter or digit"),
        (HEAD.replace("[models.a]", "[models.auto]") + REST, ":2: auto: a name begins with a letter or digit"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "models.lock"
    path.write_text(text)
    with pytest.raises(AssetRefused) as error:
        read_lock(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text("version = 3\nextra = 1\n[models.a]\nkind = 1\n")
    with pytest.raises(AssetRefused) as error:
        read_lock(path)
    assert [line.removeprefix(f"{path}:")[:1] for line in str(error.value).splitlines()] == ["1", "2", "3"]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text("#" * (1 << 20) + "\nversion = 1\n")
    with pytest.raises(AssetRefused, match=r"bigger than"):
        read_lock(path)


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    with pytest.raises(AssetRefused, match=r"a name begins with a letter or digit"):
        write_entry(path, "../sketch", ENTRY, tmp_path / "guards")
    assert not path.exists()


@pytest.mark.parametrize("name", ["nova", "Nova Anime IL v5.5 (fp16)", "夜の色", "x" * 100, "0+1"])
def test_names_as_people_call_their_files(name: str) -> None:
    assert not check_entry(name, ENTRY)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "-a", ".a", "~a", "a/b", "a\\b", "C:a", "..", "a..b", "a\nb", "a\u2028b", "x" * 101]
)
def test_what_is_no_name_or_could_be_a_path(name: str) -> None:
    assert "a name begins with a letter or digit" in check_entry(name, ENTRY)


def test_a_spoilt_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text("by hand, half done")
    with pytest.raises(AssetRefused):
        write_entry(path, "sketch", ENTRY, tmp_path / "guards")
    assert path.read_text() == "by hand, half done"


def test_entries_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    write_entry(path, "sketch", ENTRY, tmp_path / "guards")
    write_entry(path, "sketch", None, tmp_path / "guards")
    assert read_lock(path) == {}
    with pytest.raises(AssetMissing, match=r"has no 'sketch'"):
        write_entry(path, "sketch", None, tmp_path / "guards")


def test_entries_added_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    names = [f"sketch-{number}" for number in range(12)]
    threads = [threading.Thread(target=write_entry, args=(path, name, ENTRY, tmp_path / "guards")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_lock(path)) == sorted(names)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["models.lock"]


def test_a_cache_that_cannot_be_used_is_not_taken_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(AssetRefused, match=r"cannot use the cache folder .*cache: Not a directory"):
        write_entry(tmp_path / "models.lock", "sketch", ENTRY, tmp_path / "cache" / "guards")
