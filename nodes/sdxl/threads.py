"""How many threads torch computes with: their number may change the last bits of a picture."""

import torch

from engine.environment import Environment


def apply_threads(environment: Environment) -> None:
    """Give torch the number of threads that the environment names; to be called when a worker starts."""
    threads = dict(environment.detail).get("threads", "")
    if threads.isdecimal() and int(threads) > 0:
        torch.set_num_threads(int(threads))
