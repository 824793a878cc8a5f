"""Makes tests/golden/data/torch_*.pt with torch.save, and what a reader must find in them: torch_values.safetensors as
float32, torch_stored.safetensors as bytes. And a pair of checkpoints, reinit_*.pt, with what becomes of them. Needs numpy
and torch."""
import collections
import io
import os
import pickle
import struct
import warnings

import torch
from golden_file import FOLDER, write
from hash_fill import hash_fill

warnings.filterwarnings("ignore")
values, stored = {}, {}


def save(name, what, **how):
    torch.save(what, os.path.join(FOLDER, name), **how)
    print(f"{name}: {os.path.getsize(os.path.join(FOLDER, name))} bytes")


class Storages(pickle.Unpickler):
    """Notes what a pickle says of its storages, and makes nothing."""

    def __init__(self, file):
        super().__init__(file)
        self.sizes = {}

    def find_class(self, module, name):
        return collections.OrderedDict if name == "OrderedDict" else type(name, (), {"__new__": lambda *_: None})

    def persistent_load(self, id):
        self.sizes.setdefault(id[2], torch._utils._element_size(getattr(torch, id[1].__name__).dtype))


def save_old(name, what):
    """The format of PyTorch before 1.6. It names storages by their addresses and sorts them by that, which differs from
    run to run: they are called 0, 1, ... here, in the order of their first tensors."""
    memory = io.BytesIO()
    torch.save(what, memory, _use_new_zipfile_serialization=False)
    memory.seek(0)
    for _ in range(3):  # magic number, version, machine
        pickle.load(memory)
    start = memory.tell()
    reader = Storages(memory)
    reader.load()
    end = memory.tell()
    keys, data = pickle.load(memory), {}
    for key in keys:
        count = struct.unpack("<Q", memory.read(8))[0]
        data[key] = struct.pack("<Q", count) + memory.read(count * reader.sizes[key])
    bytes_ = memory.getvalue()
    body = bytes_[start:end]
    for number, key in enumerate(reader.sizes):
        text = str(number).encode()
        old = struct.pack("<cI", b"X", len(key)) + key.encode()
        assert old in body
        body = body.replace(old, struct.pack("<cI", b"X", len(text)) + text)
    names = [str(number) for number in range(len(keys))]
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(bytes_[:start] + body + pickle.dumps(names, protocol=2) + b"".join(data[key] for key in reader.sizes))
    torch.load(os.path.join(FOLDER, name), weights_only=True)
    print(f"{name}: {os.path.getsize(os.path.join(FOLDER, name))} bytes")


def raw(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()


def expect(file, name, tensor):
    values[f"{file}:{name}"] = tensor.detach().to(torch.float32).contiguous().numpy()
    stored[f"{file}:{name}"] = raw(tensor)


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


TYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
ALPHAS = {"audio_net": 0.31, "visual_net": 0.5}


def network(which, wrapped):
    """Weights of two encoders in every type, batch norm's statistics, and a head."""
    state = collections.OrderedDict()
    for net in ALPHAS:
        for kind, dtype in TYPES.items():
            state[f"{net}.{kind}.weight"] = fill(f"{which}.{net}.{kind}", 4, 3, 3, 3).to(dtype)
        state[f"{net}.view.weight"] = fill(f"{which}.{net}.view", 6, 5).t()
        state[f"{net}.bn.running_mean"] = fill(f"{which}.{net}.mean", 4)
        state[f"{net}.bn.num_batches_tracked"] = torch.tensor(3 if which == "trained" else 0)
    state["fusion_module.fc_out.weight"] = fill(f"{which}.fc", 2, 8)
    return collections.OrderedDict((f"module.{name}" if wrapped else name, tensor) for name, tensor in state.items())


def reinit():
    """(1 - alpha) * trained + alpha * initial, rounded once to the type of the tensor: in float64 for f64, else in float32."""
    trained, initial, expected = network("trained", True), network("initial", False), {}
    save("reinit_trained.pt", {"epoch": 20, "model": trained, "optimizer": {"state": {0: {"exp_avg": fill("adam", 4)}}}})
    save_old("reinit_initial.pt", initial)
    for wrapped, tensor in trained.items():
        name = wrapped.removeprefix("module.")
        alpha = ALPHAS.get(name.split(".")[0])
        if alpha is not None and not name.endswith(("running_mean", "num_batches_tracked")):
            wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
            a = torch.tensor(alpha, dtype=wide)
            tensor = ((1 - a) * tensor.to(wide) + a * initial[name].to(wide)).to(tensor.dtype)
        expected[wrapped] = raw(tensor)
    write("reinit_expected.safetensors", expected, {"torch": torch.__version__})


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
    save_old("torch_old.pt", checkpoint)
    for file in "torch_checkpoint.pt", "torch_protocol4.pt", "torch_old.pt":
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
    # No usual name says which of the dictionaries is the model's.
    save("torch_two.pt", {"student": {"w": fill("student", 2)}, "teacher": {"w": fill("teacher", 2)},
                          "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}})
    # What is refused.
    save("torch_module.pt", module)
    save("torch_expanded.pt", fill("expanded", 1, 4).expand(1000, 4))
    save("torch_complex.pt", torch.complex(fill("re", 2), fill("im", 2)))
    write("torch_values.safetensors", values, {"torch": torch.__version__})
    write("torch_stored.safetensors", stored, {"torch": torch.__version__})
    reinit()


main()
