"""Stacked AdamW is torch's AdamW, once per model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from heads.stacked import Stack, StackedPerceptron, keep_models
from heads.train.adamw import StackedAdamW, clip_each
from heads.train.settings import TrainConfig

CONFIGS = [
    TrainConfig(lr=0.01, weight_decay=0.0, clip=1e9),
    TrainConfig(lr=0.1, weight_decay=0.3, clip=0.05),
    TrainConfig(lr=0.001, weight_decay=1.0, clip=0.5),
]


def perceptron(seeds=(0, 1, 2)):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return StackedPerceptron((4, 6, 3), Stack(generators, [0.0] * len(seeds)))


def losses(head, x):
    """One per model."""
    return (head(x) ** 2).sum(dim=(1, 2)) * 10


def data(steps=6):
    torch.manual_seed(0)
    return [torch.randn(3, 5, 4) for _ in range(steps)]


def alone(k, steps):
    """Model k trained by torch."""
    head = perceptron((k,))
    config = CONFIGS[k]
    optimiser = torch.optim.AdamW(head.parameters(), config.lr, weight_decay=config.weight_decay)
    for x in steps:
        losses(head, x[k : k + 1]).sum().backward()
        nn.utils.clip_grad_norm_(head.parameters(), config.clip)
        optimiser.step()
        optimiser.zero_grad()
    return head.state_dict()


def test_each_model_moves_as_under_torch_with_its_own_settings():
    head = perceptron()
    optimiser = StackedAdamW(head, CONFIGS)
    for x in data():
        losses(head, x).sum().backward()
        optimiser.step()
    for k in range(3):
        for name, tensor in alone(k, data()).items():
            torch.testing.assert_close(head.state_dict()[name][k], tensor[0], rtol=1e-5, atol=1e-6)


def test_those_that_stay_go_on_as_if_nobody_had_left():
    head, optimiser = perceptron(), None
    optimiser = StackedAdamW(head, CONFIGS)
    for step, x in enumerate(data()):
        rows = [0, 1, 2] if step < 3 else [2, 0]
        if step == 3:
            keep_models(head, rows)
            optimiser.keep(rows)
        losses(head, x[rows]).sum().backward()
        optimiser.step()
    for row, k in enumerate([2, 0]):
        for name, tensor in alone(k, data()).items():
            torch.testing.assert_close(
                head.state_dict()[name][row], tensor[0], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("limits", [(0.7, 0.7), (1e9, 1e-3)])
def test_each_models_gradient_is_clipped_as_torch_clips_it_alone(limits):
    torch.manual_seed(1)
    gradients = [torch.randn(2, 3, 4), torch.randn(2, 5)]
    gradients[0][0] *= 1e-3  # far below the limit
    expected = []
    for k in range(2):
        parameters = [nn.Parameter(torch.zeros(g.shape[1:])) for g in gradients]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient[k].clone()
        nn.utils.clip_grad_norm_(parameters, limits[k])
        expected.append([p.grad for p in parameters])
    clip_each(gradients, torch.tensor(limits))
    for n, gradient in enumerate(gradients):
        for k in range(2):
            torch.testing.assert_close(gradient[k], expected[k][n])


def test_a_gradient_of_zero_stays_zero():
    gradients = [torch.zeros(2, 3)]
    clip_each(gradients, torch.tensor([1.0, 2.0]))
    assert (gradients[0] == 0).all()
