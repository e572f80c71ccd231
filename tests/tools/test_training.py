"""Muon, the training loop and its checkpoints."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from tools.train_nano.checkpoint import load_state, replacing, save_state
from tools.train_nano.config import Budget, Rates
from tools.train_nano.muon import Muon, orthogonalise
from tools.train_nano.training import Batch, Loss, Moment, Training


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("shape", [(6, 6), (4, 30), (40, 8), (3, 16, 5)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_orthogonalising_keeps_directions() -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(8, 8))
    matrix = left @ torch.diag(torch.linspace(0.3, 2, 8)) @ right
    assert torch.diag(left.T @ orthogonalise(matrix) @ right.T).min() > 0.5


def test_muon_solves_a_linear_problem_and_moves_kernels_too() -> None:
    torch.manual_seed(0)
    wanted = torch.randn(8, 8)
    matrix, kernel = nn.Parameter(torch.zeros(8, 8)), nn.Parameter(torch.zeros(4, 3, 3, 3))
    optimiser = Muon([matrix, kernel], 0.05)
    start = float((wanted - matrix.detach()).norm())
    for _ in range(250):
        optimiser.zero_grad()
        ((matrix - wanted).square().sum() + (kernel - 1).square().sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float((wanted - matrix.detach()).norm()) < 0.2 * start
    assert kernel.detach().mean() > 0.1


class Numbers(Dataset[Batch]):
    """Inputs and outputs of a linear map, by step."""

    def __getitem__(self, step: int) -> Batch:
        rows = torch.randn((8, 4), generator=torch.Generator().manual_seed(step))
        return {"given": rows, "wanted": rows.flip(1)}


class Watched:
    """Remembers what it was told."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.heard: list[tuple[str, float]] = []
        self.stop_at = stop_at

    def __call__(self, stage: str, progress: float, figures: Mapping[str, float]) -> None:
        self.heard.append((stage, progress))
        if progress >= self.stop_at:
            raise KeyboardInterrupt


def training(path: Path, steps: int = 12, minutes: float = 0.0, save_every: float = 0.0) -> tuple[Training, nn.Module]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
    made = Training(
        name="flip", networks={"network": network}, budget=Budget(steps, minutes), rates=Rates(0.02, 0.01, 2), seed=1,
        device=torch.device("cpu"), path=path, save_every=save_every,
    )  # fmt: skip
    return made, network


def noisy(network: nn.Module) -> Loss:
    def loss(batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        given = batch["given"] + 0.1 * torch.randn(batch["given"].shape, generator=moment.lot)
        error = (network(given) - batch["wanted"]).square().mean()
        return error, {"error": error}

    return loss


def test_a_cut_run_that_continues_ends_as_one_that_was_never_cut(tmp_path: Path) -> None:
    whole, network = training(tmp_path / "whole.pt")
    whole.run(Numbers(), noisy(network), Watched())

    cut, cut_network = training(tmp_path / "cut.pt")
    with pytest.raises(KeyboardInterrupt):
        cut.run(Numbers(), noisy(cut_network), Watched(stop_at=0.5))
    again, again_network = training(tmp_path / "cut.pt")
    assert 0 < again.step < 12
    again.run(Numbers(), noisy(again_network), Watched())

    assert again.step == whole.step == 12
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again_network.state_dict()[name]), name
    done, done_network = training(tmp_path / "whole.pt")
    done.run(Numbers(), noisy(done_network), Watched())
    assert all(torch.equal(tensor, done_network.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_training_learns_and_tells_how_far_it_is(tmp_path: Path) -> None:
    made, network = training(tmp_path / "run.pt", steps=300)
    watched = Watched()
    made.run(Numbers(), noisy(network), watched)
    assert made.figures["error"] < 0.3
    stages, progress = zip(*watched.heard, strict=True)
    assert set(stages) == {"flip"}
    assert progress == pytest.approx([step / 300 for step in range(1, 301)])


def test_a_budget_in_minutes_ends_a_run(tmp_path: Path) -> None:
    made, network = training(tmp_path / "run.pt", steps=10**6, minutes=0.002)
    made.run(Numbers(), noisy(network), Watched())
    assert 0 < made.step < 10**6
    assert made.progress == 1


def test_a_failed_write_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, {"step": 1})

    def fail() -> None:
        with replacing(path) as fresh:
            fresh.write_bytes(b"half")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        fail()
    assert load_state(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]
