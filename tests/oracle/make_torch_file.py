"""Makes tests/golden/data/torch_*.pt with torch.save, and torch_values.safetensors with what a reader must find
in them. Needs numpy and torch."""
import collections
import os
import warnings

import torch
from golden_file import FOLDER, write
from hash_fill import hash_fill

warnings.filterwarnings("ignore")
values = {}


def save(name, what, **how):
    torch.save(what, os.path.join(FOLDER, name), **how)
    print(f"{name}: {os.path.getsize(os.path.join(FOLDER, name))} bytes")


def expect(file, name, tensor):
    values[f"{file}:{name}"] = tensor.detach().to(torch.float32).contiguous().numpy()


def fill(name, *shape):
    return torch.from_numpy(hash_fill(f"torch.{name}", shape, 3))


def tensors():
    base = fill("base", 6, 8)
    whole = (fill("ints", 4, 3) * 30)
    return collections.OrderedDict(
        plain=base, transposed=base.t(), window=base[1:5:2, 2:7], column=base[:, 3],
        permuted=fill("volume", 2, 3, 4).permute(2, 0, 1), parameter=torch.nn.Parameter(fill("parameter", 5)),
        f64=fill("f64", 7).double() / 3, f16=torch.cat([fill("f16", 6).half(), torch.tensor([6e-8, 65504.0]).half()]),
        bf16=fill("bf16", 3, 3).bfloat16(), i64=whole.long(), i32=whole.int(), i16=whole.short(), i8=whole.char(),
        u8=whole.abs().byte(), bool=whole > 0, scalar=torch.tensor(2.5), none=torch.empty(0, 4),
        single=fill("single", 1, 1, 1, 4))


def main():
    features = fill("features", 5, 8)
    save("torch_tensor.pt", features)
    expect("torch_tensor.pt", "", features)

    state = tensors()
    checkpoint = {"epoch": 3, "best": 0.25, "name": "résumé", "big": 2**40, "negative": -5, "none": None,
                  "state_dict": state, "optimizer": {"state": {0: {"step": torch.tensor(4.0)}},
                                                     "param_groups": [{"lr": 0.1, "nesterov": False, "params": [0, 1]}]},
                  "pair": (fill("pair", 2), [fill("list", 3)])}
    save("torch_checkpoint.pt", checkpoint)
    save("torch_protocol4.pt", checkpoint, pickle_protocol=4)
    for file in "torch_checkpoint.pt", "torch_protocol4.pt":
        for name, tensor in state.items():
            expect(file, f"state_dict.{name}", tensor)
        expect(file, "optimizer.state.0.step", checkpoint["optimizer"]["state"][0]["step"])
        expect(file, "pair.0", checkpoint["pair"][0])
        expect(file, "pair.1.0", checkpoint["pair"][1][0])

    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        module[0].weight.copy_(fill("weight", 2, 2))
        module[0].bias.copy_(fill("bias", 2))
    save("torch_state.pt", module.state_dict())
    for name, tensor in module.state_dict().items():
        expect("torch_state.pt", name, tensor)
    # What is refused.
    save("torch_module.pt", module)
    save("torch_old.pt", features, _use_new_zipfile_serialization=False)
    with open(os.path.join(FOLDER, "torch_old.pt"), "r+b") as file:
        file.truncate(128)  # what follows holds addresses, which differ from run to run
    save("torch_expanded.pt", fill("expanded", 1, 4).expand(1000, 4))
    save("torch_complex.pt", torch.complex(fill("re", 2), fill("im", 2)))
    write("torch_values.safetensors", values, {"torch": torch.__version__})


main()
