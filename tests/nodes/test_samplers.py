"""The names of samplers and schedules, as A1111 writes them."""

import subprocess
import sys
from typing import get_args

import pytest

from engine.declaration import declare
from nodes.face_detailer import FaceDetailer
from nodes.sampler import Sampler
from nodes.samplers import SamplerName, ScheduleName, a1111_sampler, a1111_schedule


@pytest.mark.parametrize(
    ("sampler", "schedule", "name"),
    [
        ("euler_ancestral", "normal", "Euler a"),
        ("euler", "simple", "Euler"),
        ("dpmpp_2m", "karras", "DPM++ 2M Karras"),
        ("dpmpp_2m_sde", "exponential", "DPM++ 2M SDE Exponential"),
        ("dpmpp_3m_sde", "karras", "DPM++ 3M SDE Karras"),
        ("dpmpp_sde", "karras", "DPM++ SDE Karras"),
        ("dpmpp_2s_ancestral", "beta", "DPM++ 2S a"),
        ("uni_pc", "sgm_uniform", "UniPC"),
        ("ddim", "normal", "DDIM"),
    ],
)
def test_names_as_a1111_writes_them(sampler: SamplerName, schedule: ScheduleName, name: str) -> None:
    assert a1111_sampler(sampler, schedule) == name


def test_every_name_has_one() -> None:
    for sampler in get_args(SamplerName):
        for schedule in get_args(ScheduleName):
            assert a1111_sampler(sampler, schedule)
            assert a1111_schedule(schedule)


@pytest.mark.parametrize("node", [Sampler, FaceDetailer])
def test_names_of_a1111_are_known_to_be_others(node: type[Sampler | FaceDetailer]) -> None:
    ports = declare(node).inputs
    assert ports["sampler"].aliases["Euler a"] == '"euler_ancestral"'
    assert ports["sampler"].aliases["DPM++ 2M Karras"] == '"dpmpp_2m" with the schedule "karras"'
    assert "DDIM" not in ports["sampler"].aliases, "it differs by its case alone, which any guess finds"
    assert ports["schedule"].aliases["Uniform"] == '"normal"'


def test_declarations_import_no_torch() -> None:
    code = "import sys, nodes.sampler, nodes.pag, nodes.samplers; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
