"""Makes tests/golden/data/init_resnet.pt: a narrow ResNet of torchvision's names in a training checkpoint, as
torch.nn.DataParallel leaves it. Needs numpy and torch."""
import collections
import os
import warnings

import torch
from golden_file import FOLDER
from hash_fill import hash_fill

warnings.filterwarnings("ignore")
WIDTH = 16


def batch_norm(state, name, channels):
    state[f"{name}.weight"] = fill(f"{name}.weight", channels)
    state[f"{name}.bias"] = fill(f"{name}.bias", channels)
    state[f"{name}.running_mean"] = fill(f"{name}.running_mean", channels)
    state[f"{name}.running_var"] = fill(f"{name}.running_var", channels).abs() + 0.5
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def fill(name, *shape):
    return torch.from_numpy(hash_fill(f"init.{name}", shape))


def resnet(blocks=(1, 1), channels=3):
    """torchvision's ResNet(BasicBlock, blocks) with narrower stages."""
    state = collections.OrderedDict()
    state["conv1.weight"] = fill("conv1", WIDTH, channels, 7, 7)
    batch_norm(state, "bn1", WIDTH)
    inside = WIDTH
    for stage, count in enumerate(blocks):
        width = WIDTH << stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            state[f"{name}.conv1.weight"] = fill(f"{name}.conv1", width, inside, 3, 3)
            batch_norm(state, f"{name}.bn1", width)
            state[f"{name}.conv2.weight"] = fill(f"{name}.conv2", width, width, 3, 3)
            batch_norm(state, f"{name}.bn2", width)
            if inside != width:
                state[f"{name}.downsample.0.weight"] = fill(f"{name}.downsample.0", width, inside, 1, 1)
                batch_norm(state, f"{name}.downsample.1", width)
            inside = width
    state["fc.weight"] = fill("fc.weight", 4, inside)
    state["fc.bias"] = fill("fc.bias", 4)
    return state


def main():
    state = {f"module.encoder.{key}": tensor for key, tensor in resnet().items()}
    torch.save({"epoch": 3, "state_dict": state}, os.path.join(FOLDER, "init_resnet.pt"))
    print(f"init_resnet.pt: {os.path.getsize(os.path.join(FOLDER, 'init_resnet.pt'))} bytes")


main()
