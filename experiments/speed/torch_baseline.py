"""The K-scores method in PyTorch, transcribed plainly, for the benchmark: one process that times steps on request.

Every connection has K scores and K options on the last axis. `gates` is the equation as it stands: one-hot gates of
the largest score with the straight-through gradient, times the options, summed. `gather` is the least that the method
needs: the forward pass gathers the option of the largest score, and the backward pass gives `dL/dW * W_k` to all K
scores (Eq. 3 of Aladago & Torresani, 2021).

    python -m experiments.speed.torch_baseline NETWORK K FORM      then the seconds of a turn per line on standard input
"""

import itertools
import math
import sys
import time
from typing import Any

import torch
from torch.nn import functional


def gates(scores: torch.Tensor, options: torch.Tensor) -> torch.Tensor:
    """The sum of the gated options."""
    selected = functional.one_hot(scores.argmax(-1), scores.shape[-1])
    return ((selected + (scores - scores.detach())) * options).sum(-1)


class Gather(torch.autograd.Function):
    """The option of the largest score, with the straight-through gradient."""

    @staticmethod
    def forward(context: Any, scores: torch.Tensor, options: torch.Tensor) -> torch.Tensor:
        """The selected weights."""
        context.save_for_backward(options)
        return options.gather(-1, scores.argmax(-1, keepdim=True)).squeeze(-1)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """The gradient of every score."""
        (options,) = context.saved_tensors
        return gradient.unsqueeze(-1) * options, None


FORMS: dict[str, Any] = {"learned": None, "gates": gates, "gather": Gather.apply}


class Slot(torch.nn.Module):
    """One weight tensor in one of the forms."""

    def __init__(self, form: str, k: int, *shape: int) -> None:
        super().__init__()
        self.select = FORMS[form]
        sigma = math.sqrt(6 / (math.prod(shape[1:]) + shape[0] * math.prod(shape[2:])))
        if self.select:
            self.register_buffer("options", torch.empty(*shape, k).uniform_(-sigma, sigma))
            self.scores = torch.nn.Parameter(torch.empty(*shape, k).uniform_(0, 0.1 * sigma))
        else:
            self.scores = torch.nn.Parameter(torch.empty(*shape).uniform_(-sigma, sigma))

    def forward(self) -> torch.Tensor:
        """The weight."""
        return self.select(self.scores, self.options) if self.select else self.scores


class Network(torch.nn.Module):
    """LeNet-300-100, or pairs of 3x3 convolutions with max pooling and a 256-256-10 head; no biases."""

    def __init__(self, name: str, k: int, form: str) -> None:
        super().__init__()
        pairs = {"lenet": [], "conv2": [64], "conv4": [64, 128], "conv6": [64, 128, 256]}[name]
        channels = [3, *(width for width in pairs for _ in range(2))]
        self.convolutions = torch.nn.ModuleList(
            Slot(form, k, outputs, inputs, 3, 3) for inputs, outputs in itertools.pairwise(channels)
        )
        units = [784, 300, 100, 10] if name == "lenet" else [channels[-1] * (32 >> len(pairs)) ** 2, 256, 256, 10]
        self.dense = torch.nn.ModuleList(Slot(form, k, *reversed(pair)) for pair in itertools.pairwise(units))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        features = images
        for number, layer in enumerate(self.convolutions):
            features = functional.conv2d(features, layer(), padding=1).relu()
            features = functional.max_pool2d(features, 2) if number % 2 else features
        features = features.flatten(1)
        for layer in self.dense[:-1]:
            features = functional.linear(features, layer()).relu()
        return functional.linear(features, self.dense[-1]())


def main() -> None:
    """Answers every line, the least seconds of a turn, with the seconds that a step took in it."""
    name, k, form = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.manual_seed(0)
    network = Network(name, k, form)
    shape = (784,) if name == "lenet" else (3, 32, 32)
    images, labels = torch.rand(50 if name == "lenet" else 4, 128, *shape), torch.randint(10, (50, 128))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.9, weight_decay=1e-4)

    def train_step(step: int) -> None:
        batch = step % len(images)
        optimizer.zero_grad()
        functional.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()

    for line in sys.stdin:
        train_step(0)
        start, steps = time.perf_counter(), 0
        while time.perf_counter() < start + float(line):
            train_step(steps)
            steps += 1
        print((time.perf_counter() - start) / steps, flush=True)


if __name__ == "__main__":
    main()
