"""What a UNet's answer says of the picture."""

import math

import torch


def expected_picture(output: torch.Tensor, noisy: torch.Tensor, sigma: float, prediction: str) -> torch.Tensor:
    """Return the finished picture that the UNet expects, its `noisy` latents being picture + sigma * noise.

    `prediction` is what the UNet was trained to answer: epsilon or v_prediction.
    """
    if prediction == "v_prediction":
        size = math.hypot(sigma, 1)
        return noisy / size**2 - output * (sigma / size)
    return noisy - output * sigma
