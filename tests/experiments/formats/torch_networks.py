"""The networks of the papers in PyTorch, with Flax's names of layers, as its users would write them."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class LeNet(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        for number, (rows, columns) in enumerate(((inputs, 300), (300, 100), (100, 10))):
            self.add_module(f"Dense_{number}", nn.Linear(rows, columns, bias=False))

    def forward(self, images):
        features = images.flatten(1)
        return self.Dense_2(F.relu(self.Dense_1(F.relu(self.Dense_0(features)))))


class Conv2(nn.Module):
    def __init__(self, width, dense, flattened):
        super().__init__()
        self.Conv_0 = nn.Conv2d(3, width, 3, padding="same", bias=False)
        self.Conv_1 = nn.Conv2d(width, width, 3, padding="same", bias=False)
        for number, (rows, columns) in enumerate(((flattened, dense), (dense, dense), (dense, 10))):
            self.add_module(f"Dense_{number}", nn.Linear(rows, columns, bias=False))

    def forward(self, images):
        features = F.max_pool2d(F.relu(self.Conv_1(F.relu(self.Conv_0(images)))), 2).flatten(1)
        return self.Dense_2(F.relu(self.Dense_1(F.relu(self.Dense_0(features)))))


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.Conv_0 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.BatchNorm_0 = nn.BatchNorm2d(width)
        self.Conv_1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.BatchNorm_1 = nn.BatchNorm2d(width)
        if stride > 1 or inputs != width:
            self.Conv_2 = nn.Conv2d(inputs, width, 1, stride, bias=False)
            self.BatchNorm_2 = nn.BatchNorm2d(width)

    def forward(self, features):
        residual = F.relu(self.BatchNorm_0(self.Conv_0(features)))
        residual = self.BatchNorm_1(self.Conv_1(residual))
        shortcut = self.BatchNorm_2(self.Conv_2(features)) if hasattr(self, "Conv_2") else features
        return F.relu(shortcut + residual)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv_0 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.BatchNorm_0 = nn.BatchNorm2d(64)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        for number, (inputs, width) in enumerate(itertools.pairwise(widths)):
            self.add_module(f"BasicBlock_{number}", Block(inputs, width, 1 if inputs == width else 2))
        self.Dense_0 = nn.Linear(512, 10, bias=False)

    def forward(self, images):
        features = F.relu(self.BatchNorm_0(self.Conv_0(images)))
        for number in range(8):
            features = getattr(self, f"BasicBlock_{number}")(features)
        return self.Dense_0(features.mean((2, 3)))


def logits(network, state, images):
    """Of images as PyTorch has them, with every tensor of a state dict in its place."""
    missing, unexpected = network.load_state_dict(
        {name: torch.from_numpy(array) for name, array in state.items()}, False
    )
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    with torch.no_grad():
        return network.eval()(torch.from_numpy(images)).numpy()
