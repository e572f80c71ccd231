"""What a request works out before the loop starts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NovaError
from nodes.sdxl.request import MicroConditioning, seeds_from, steps_to_run


@given(steps=st.integers(1, 150), data=st.data())
def test_a_whole_number_of_steps_is_run_as_such(steps: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, steps))
    assert steps_to_run(steps, wanted / steps) == wanted


@given(hundredth=st.integers(1, 100))
def test_a_hundred_steps_run_as_many_as_denoise_has_hundredths(hundredth: int) -> None:
    assert steps_to_run(100, hundredth / 100) == hundredth


@given(steps=st.integers(1, 150), denoise=st.floats(0.001, 1))
def test_steps_are_rounded_down_and_never_none(steps: int, denoise: float) -> None:
    if steps * denoise < 0.9999:
        with pytest.raises(NovaError, match="leaves less than one step"):
            steps_to_run(steps, denoise)
    elif steps * denoise >= 1:
        run = steps_to_run(steps, denoise)
        assert 1 <= run <= steps
        assert run <= steps * denoise + 1e-6 < run + 1 + 1e-5


@pytest.mark.parametrize(
    ("steps", "denoise", "hint"),
    [(10, 0.05, "Raise denoise to 0.1 or more, or steps to 20 or more."), (1, 0.9, "denoise to 1 or more")],
)
def test_the_error_says_what_would_do(steps: int, denoise: float, hint: str) -> None:
    with pytest.raises(NovaError) as caught:
        steps_to_run(steps, denoise)
    assert hint in caught.value.hint


@given(steps=st.integers(1, 150), part=st.floats(0.001, 0.999))
def test_the_hint_is_right(steps: int, part: float) -> None:
    denoise = part / steps
    with pytest.raises(NovaError) as caught:
        steps_to_run(steps, denoise)
    words = caught.value.hint.replace(",", "").split()
    assert steps_to_run(steps, float(words[3])) == 1
    assert steps_to_run(int(words[words.index("steps") + 2]), denoise) == 1


@given(seed=st.integers(0, 2**64 - 1), count=st.integers(1, 64))
def test_seeds_rise_by_one_and_start_over(seed: int, count: int) -> None:
    seeds = seeds_from(seed, count)
    assert len(set(seeds)) == count
    assert all(0 <= each < 2**64 for each in seeds)
    assert all((after - before) % 2**64 == 1 for before, after in pairwise(seeds))


def test_time_ids_are_heights_before_widths() -> None:
    micro = MicroConditioning(original=(300, 200), crop=(5, 3), target=(150, 100))
    assert micro.time_ids == (200, 300, 3, 5, 100, 150)
