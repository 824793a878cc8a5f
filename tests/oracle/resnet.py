"""ResNet of basic blocks (He et al. 2016) without its last linear layer, in PyTorch, with torchvision's names;
and weights and inputs that C makes alike (tests/support/hash_fill.h)."""
import math

import torch
from fusion import FUSIONS
from hash_fill import hash_fill
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False),
                                            nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    """[batch, frames, channels, height, width] -> [batch, features]"""

    def __init__(self, channels, blocks=(2, 2, 2, 2), width=64, small_stem=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, *((3, 1, 1) if small_stem else (7, 2, 3)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, 1)
        self.stages = len(blocks)
        inputs = width
        for stage, count in enumerate(blocks):
            layers = []
            for block in range(count):
                layers.append(Block(inputs, width << stage, 2 if stage and not block else 1))
                inputs = width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.features = inputs

    def forward(self, x):
        batch, frames = x.shape[:2]
        y = self.pool(torch.relu(self.bn1(self.conv1(x.flatten(0, 1)))))
        for stage in range(self.stages):
            y = getattr(self, f"layer{stage + 1}")(y)
        return y.mean((2, 3)).view(batch, frames, -1).mean(1)


class Mlp(nn.Module):
    """[batch, inputs] -> [batch, features]"""

    def __init__(self, inputs, hidden):
        super().__init__()
        sizes = [inputs, *hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.features = hidden[-1]

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


class Model(nn.Module):
    """Encoders by name, joined by a fusion; with `auxiliary` a linear head for each as well."""

    def __init__(self, encoders, classes, fusion="concat", auxiliary=False):
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.head = FUSIONS[fusion]({name: e.features for name, e in encoders.items()}, classes)
        self.auxiliary = nn.ModuleDict({name: nn.Linear(e.features, classes) for name, e in encoders.items()}
                                       if auxiliary else {})

    def features(self, inputs):
        return {name: e(inputs[name]) for name, e in self.encoders.items()}

    def forward(self, inputs):
        return self.head(self.features(inputs))


def c_name(name):
    """The name of a parameter in our files: that of its arena, then PyTorch's."""
    return name.removeprefix("encoders.")


def value_scale(name, shape):
    """(scale, offset) of a parameter's numbers; weights_fill of tests/golden/model_support.h says the same."""
    if len(shape) == 4:  # standard deviation of Kaiming's initialisation, fan_out
        return math.sqrt(6 / (shape[0] * shape[2] * shape[3])), 0.0
    if name.startswith(("head.", "auxiliary.")) or ".layers." in name:
        return (1 / math.sqrt(shape[1]), 0.0) if len(shape) == 2 else (0.1, 0.0)
    return (0.05, 1.0) if name.endswith("weight") else (0.1, 0.0)


def fill_model(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale, offset = value_scale(c_name(name), parameter.shape)
            parameter.copy_(torch.from_numpy(hash_fill(c_name(name), tuple(parameter.shape), scale, offset)))


def picture_input(name, batch, frames, channels, height, width):
    """Noise on patches of 16 x 16, so that pictures differ at every scale that the network looks at."""
    rows, columns = -(-height // 16), -(-width // 16)
    coarse = hash_fill(f"{name}.coarse", (batch, frames, channels, rows, columns))
    patches = coarse.repeat(16, 3).repeat(16, 4)[:, :, :, :height, :width]
    return torch.from_numpy(patches + hash_fill(f"{name}.fine", (batch, frames, channels, height, width)))
