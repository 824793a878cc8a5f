"""The networks that relearn trains, in PyTorch, made of a file of `relearn export`:

    import pytorch_model
    model = pytorch_model.load("model.safetensors")   # or model.pth
    logits = model({"audio": sounds, "visual": frames})

Inputs are what relearn's own network gets, float32: [batch, frames, channels, height, width] for pictures and
spectrograms ([batch, 1, 1, time, mel]), [batch, features] for vectors. The shapes of the weights say all that has to be
known of the network. Needs torch, and safetensors for files of that format. Names are those of OGM-GE's code."""
import json

import torch
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """ResNet without its last linear layer; features are means over frames, height and width."""

    def __init__(self, weights):
        super().__init__()
        width, channels, kernel, _ = weights["conv1.weight"].shape
        self.conv1 = nn.Conv2d(channels, width, kernel, 2 if kernel == 7 else 1, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if kernel == 7 else nn.Identity()
        self.stages = []
        inputs = width
        for stage in sorted({int(name[5:name.index(".")]) for name in weights if name.startswith("layer")}):
            blocks = {name.split(".")[1] for name in weights if name.startswith(f"layer{stage}.")}
            channels = weights[f"layer{stage}.0.conv1.weight"].shape[0]
            layer = nn.Sequential(*(BasicBlock(channels if block else inputs, channels, 2 if stage > 1 and not block else 1)
                                    for block in range(len(blocks))))
            self.add_module(f"layer{stage}", layer)
            self.stages.append(f"layer{stage}")
            inputs = channels

    def forward(self, x):
        batch, frames = x.shape[:2]
        y = self.maxpool(torch.relu(self.bn1(self.conv1(x.flatten(0, 1)))))
        for stage in self.stages:
            y = getattr(self, stage)(y)
        return y.mean((2, 3)).view(batch, frames, -1).mean(1)


class Mlp(nn.Module):
    def __init__(self, weights):
        super().__init__()
        shapes = [weights[f"layers.{i}.weight"].shape for i in range(len(weights) // 2)]
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for outputs, inputs in shapes)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


class Fusion(nn.Module):
    """One of OGM-GE's four; which, the names of its layers tell."""

    def __init__(self, weights):
        super().__init__()
        for name in sorted(key.removesuffix(".weight") for key in weights if key.endswith(".weight")):
            outputs, inputs = weights[f"{name}.weight"].shape
            self.add_module(name, nn.Linear(inputs, outputs))

    def forward(self, features, modalities):
        layers = dict(self.named_children())
        if "fc_out" not in layers:  # sum: a linear layer per modality
            pair = dict(zip(modalities, ("fc_x", "fc_y"))) if "fc_x" in layers else {}
            return sum(layers[pair.get(name, f"fc_{name}")](features[name]) for name in modalities)
        if len(layers) == 1:  # concat
            return self.fc_out(torch.cat([features[name] for name in modalities], 1))
        x, y = (features[name] for name in modalities)
        if "fc" in layers:  # film
            gamma, beta = self.fc(x).chunk(2, 1)
            return self.fc_out(gamma * y + beta)
        return self.fc_out(torch.sigmoid(self.fc_x(x)) * self.fc_y(y))  # gated


class Model(nn.Module):
    def __init__(self, weights, modalities):
        super().__init__()
        self.modalities = modalities

        def part(prefix):
            return {name[len(prefix):]: tensor for name, tensor in weights.items() if name.startswith(prefix)}

        for name in modalities:
            mine = part(f"{name}_net.")
            self.add_module(f"{name}_net", Mlp(mine) if "layers.0.weight" in mine else ResNet(mine))
        self.fusion_module = Fusion(part("fusion_module."))
        # Heads of single modalities, which some balancing methods train beside.
        self.auxiliary = nn.ModuleDict({name: nn.Linear(*reversed(weights[f"auxiliary.{name}.weight"].shape))
                                        for name in modalities if f"auxiliary.{name}.weight" in weights})

    def features(self, inputs):
        return {name: getattr(self, f"{name}_net")(inputs[name]) for name in self.modalities}

    def forward(self, inputs):
        return self.fusion_module(self.features(inputs), self.modalities)


def read(path):
    """(weights by name, names of the modalities in their order)"""
    if path.endswith(".safetensors"):
        import safetensors
        with safetensors.safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["modalities"])
    weights = torch.load(path, weights_only=True)
    return weights, list(dict.fromkeys(name.split("_net.")[0] for name in weights if "_net." in name))


def load(path):
    """The model, in inference mode."""
    weights, modalities = read(path)
    model = Model(weights, modalities)
    model.load_state_dict(weights)
    return model.eval()
