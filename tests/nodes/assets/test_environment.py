"""The device and software, found without torch."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import platformdirs
import pytest

from engine.errors import SettingError
from nodes.assets import Settings, read_settings
from nodes.assets.cpu import count_threads, instruction_set, vendor
from nodes.assets.environment import PACKAGES, find_environment, threads_of
from nodes.assets.gpu import cuda_name, has_cuda_build, has_metal


def test_what_it_says_is_what_torch_says(settings: Settings) -> None:
    import torch

    environment = find_environment(settings)
    assert (cuda_name() != "" and has_cuda_build()) == torch.cuda.is_available()
    assert has_metal() == torch.backends.mps.is_available()
    if torch.cuda.is_available():
        assert environment.device == "cuda"
        assert dict(environment.detail)["gpu"] == torch.cuda.get_device_name(0)
        assert environment.dtype == "float16"
    known = {"AVX512": "avx512", "AVX2": "avx2", "DEFAULT": "default"}
    capability = torch.backends.cpu.get_cpu_capability()
    assert instruction_set() == known.get(capability, instruction_set())
    assert dict(environment.facts)["torch"] == version("torch")


def test_a_processor_computes_in_full_precision(settings: Settings) -> None:
    environment = find_environment(replace(settings, device="cpu"))
    assert (environment.device, environment.dtype) == ("cpu", "float32")
    assert [name for name, _ in environment.facts] == list(PACKAGES)
    assert [name for name, _ in environment.detail] == ["threads", "cpu", "platform"]
    assert threads_of(environment) == count_threads() > 0


def test_threads_are_in_the_fingerprint_and_not_in_the_key(settings: Settings) -> None:
    one = find_environment(replace(settings, device="cpu", threads=1))
    two = find_environment(replace(settings, device="cpu", threads=2))
    assert one.key == two.key
    assert one.fingerprint != two.fingerprint


def test_the_settings_override(settings: Settings) -> None:
    environment = find_environment(replace(settings, device="cpu", dtype="bfloat16", threads=3))
    assert (environment.device, environment.dtype, threads_of(environment)) == ("cpu", "bfloat16", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "NOVA_DEVICE is 'tpu'"),
        ({"device": "cuda:1"}, "NOVA_DEVICE is 'cuda:1'"),
        ({"device": "cpu", "dtype": "int8"}, "NOVA_DTYPE is 'int8'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: Settings, changes: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError) as error:
        find_environment(replace(settings, **changes))  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.skipif(cuda_name() != "", reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingError, match=r"there is no usable CUDA device"):
        find_environment(replace(settings, device="cuda"))


@pytest.mark.skipif(has_metal(), reason="this is Apple silicon")
def test_metal_that_is_not_there_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingError, match=r"no Apple silicon"):
        find_environment(replace(settings, device="mps"))


def test_a_capability_that_torch_was_held_to_is_heeded() -> None:
    best = instruction_set()
    assert instruction_set("default") in ("default", best)
    assert instruction_set("nonsense") == best
    assert vendor()


def test_a_worker_computes_with_the_threads_of_its_environment(settings: Settings) -> None:
    import torch

    from nodes.sdxl.threads import apply_threads

    before = torch.get_num_threads()
    try:
        apply_threads(find_environment(replace(settings, device="cpu", threads=before + 1)))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("environ", "threads"),
    [
        ({}, 0),
        ({"NOVA_THREADS": "4"}, 4),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"NOVA_THREADS": "4", "OMP_NUM_THREADS": "x"}, 4),
    ],
)
def test_threads_are_read(environ: dict[str, str], threads: int) -> None:
    assert read_settings(environ).threads == threads


@pytest.mark.parametrize(
    "environ",
    [
        {"NOVA_THREADS": "0"},
        {"NOVA_THREADS": "many"},
        {"NOVA_ALLOW_PICKLE": "perhaps"},
        {"NOVA_REQUIRE_CHECKPOINT": "2"},
    ],
)
def test_variables_that_make_no_sense_are_errors(environ: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=next(iter(environ))):
        read_settings(environ)


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = read_settings(
        {
            "NOVA_CACHE_DIR": str(tmp_path),
            "NOVA_MODELS_LOCK": str(tmp_path / "my.lock"),
            "CHECKPOINT_PATH": "a",
            "CHECKPOINT_URL": "b",
            "CIVITAI_API_KEY": "c",
            "NOVA_ANIME_HF_ID": "d",
            "NOVA_ANIME_HF_FILENAME": "e",
            "NOVA_ANIME_HF_REVISION": "f",
            "HF_ENDPOINT": "https://mirror/",
            "HF_TOKEN": "g",
            "NOVA_REQUIRE_CHECKPOINT": "1",
            "FACE_DETECTOR_PATH": "h",
            "NOVA_ALLOW_PICKLE": "yes",
            "NOVA_DEVICE": "CPU",
            "NOVA_DTYPE": "bfloat16",
            "NOVA_THREADS": "2",
        },
        folders=(tmp_path,),
        allow_paths=False,
    )
    secrets = [settings.checkpoint_url, settings.civitai_key, settings.hf_token]
    assert [secret.get_secret_value() for secret in secrets] == ["b", "c", "g"]
    assert (settings.cache, settings.models_lock) == (tmp_path, tmp_path / "my.lock")
    assert (settings.checkpoint_path, settings.hf_id, settings.hf_filename, settings.hf_revision) == (
        "a",
        "d",
        "e",
        "f",
    )
    assert (settings.hf_endpoint, settings.face_detector_path) == ("https://mirror", "h")
    assert (settings.require_checkpoint, settings.allow_pickle, settings.allow_paths) == (True, True, False)
    assert (settings.device, settings.dtype, settings.threads) == ("cpu", "bfloat16", 2)


def test_without_variables_the_working_directory_and_the_users_cache_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({})
    assert settings.models_lock == tmp_path / "models.lock"
    assert settings.folders == (tmp_path,)
    assert settings.cache == platformdirs.user_cache_path("nova-graph", appauthor=False)
    assert settings.baked == Path("/local/model.safetensors")


def test_looking_things_up_imports_nothing_heavy() -> None:
    program = (
        "import sys; from nodes.assets import *; from nodes.assets.environment import find_environment; "
        "from engine import Asset; settings = read_settings({}); find_environment(settings); "
        "LocalAssets(settings).place(Asset('checkpoint', 'auto')); "
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'modal', 'httpx', 'tenacity', 'filelock'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
