"""Makes tests/golden/data/nn_ops.safetensors with PyTorch in float64: convolution + batch norm
(+ residual) (+ ReLU), max pooling and the mean over space and frames; forward, gradients, running
statistics, and inference. Every case is a little network that ends in the mean, so that its output
and its gradients can be read; tests/golden/test_nn_ops_golden.c builds the same ones. Float32's own
distance from float64 is stored beside each tensor as the yardstick. Needs numpy and torch."""
import numpy as np
import torch
from golden_file import write
from hash_fill import hash_fill

torch.manual_seed(0)
torch.set_num_threads(1)
PROJECTIONS, SAMPLES = 4, 16

# name: batch, channels, height, width, frames, layers. A layer is (kind, ...):
#   conv: name, out channels, kernel, stride, padding, relu, residual ("" or the name of a value)
#   pool: kernel, stride, padding
# `in` names the value before the layer, so that a layer can start from an earlier one.
CASES = {
    "stem1": (2, 1, 33, 26, 1, [("conv", "c1", 32, 7, 2, 3, True, ""), ("pool", "p", 3, 2, 1)]),
    "stem3": (4, 3, 32, 32, 2, [("conv", "c1", 32, 7, 2, 3, True, ""), ("pool", "p", 3, 2, 1)]),
    "stem2": (3, 2, 15, 17, 3, [("conv", "c1", 16, 3, 1, 1, True, ""), ("pool", "p", 2, 2, 0)]),
    "block": (4, 3, 14, 14, 1, [("conv", "c0", 64, 3, 1, 1, True, ""),
                                ("conv", "c1", 64, 3, 1, 1, True, ""),
                                ("conv", "c2", 64, 3, 1, 1, True, "c0")]),
    "down": (4, 1, 13, 15, 2, [("conv", "c0", 32, 3, 1, 1, True, ""),
                               ("pool", "p", 3, 1, 1),
                               ("conv", "c1", 64, 3, 2, 1, True, ""),
                               ("conv", "cd", 64, 1, 2, 0, False, "", "p"),
                               ("conv", "c2", 64, 3, 1, 1, True, "cd", "c1")]),
    "linear": (2, 4, 9, 7, 1, [("conv", "c0", 16, 5, 1, 2, False, ""),
                               ("conv", "c1", 16, 1, 1, 0, False, "c0"),
                               ("conv", "c2", 16, 3, 2, 1, True, "")]),
}


class Net(torch.nn.Module):
    def __init__(self, case, spec):
        super().__init__()
        self.spec, channels, sizes = spec, spec[1], {"input": spec[1]}
        previous = "input"
        for layer in spec[5]:
            if layer[0] == "conv":
                source = layer[8] if len(layer) > 8 else previous
                _, name, out, kernel, stride, padding = layer[:6]
                conv = torch.nn.Conv2d(sizes[source], out, kernel, stride, padding, bias=False)
                setattr(self, name, conv)
                setattr(self, name + "_bn", torch.nn.BatchNorm2d(out))
                channels = out
            sizes[layer[1]], previous = channels, layer[1]
        for name, tensor in list(self.named_parameters()) + list(self.named_buffers()):
            if "num_batches" in name:
                continue
            offset = 1.0 if name.endswith(("bn.weight", "running_var")) else 0.0
            # Batch norm undoes the weights' scale: any will do.
            filled = hash_fill(f"{case}.{name}", tuple(tensor.shape), 0.3, offset)
            tensor.data.copy_(torch.from_numpy(filled))

    def forward(self, x):
        values, v = {"input": x}, x
        for layer in self.spec[5]:
            if layer[0] == "pool":
                v = torch.nn.functional.max_pool2d(v, *layer[2:])
            else:
                if len(layer) > 8:
                    v = values[layer[8]]
                name, relu, residual = layer[1], layer[6], layer[7]
                v = getattr(self, name + "_bn")(getattr(self, name)(v))
                if residual:
                    v = v + values[residual]
                if relu:
                    v = torch.relu(v)
            values[layer[1]] = v
        n, frames = self.spec[0] // self.spec[4], self.spec[4]
        return v.reshape(n, frames, v.shape[1], -1).mean((1, 3))


def run(case, spec, dtype):
    net = Net(case, spec).to(dtype)
    shape = (spec[0], spec[1], spec[2], spec[3])
    x = torch.from_numpy(hash_fill(f"{case}.input", shape, 1.5, 0.1)).to(dtype)
    results = {}
    net.eval()
    results["inference"] = net(x).detach()
    net.train()
    out = net(x)
    results["training"] = out.detach()
    weights = torch.from_numpy(hash_fill(f"{case}.weights", tuple(out.shape), 1.0, 0.2)).to(dtype)
    out.backward(weights)
    for name, parameter in net.named_parameters():
        results["gradient." + name] = parameter.grad
    for name, buffer in net.named_buffers():
        if "num_batches" not in name:
            results[name] = buffer.detach()
    return {key: value.double().numpy().ravel() for key, value in results.items()}


def digest(key, value):
    """Norm, projections on hashed vectors, evenly spaced samples: float64."""
    projections = [value @ hash_fill(f"{key}.projection.{i}", value.shape).astype(np.float64)
                   for i in range(PROJECTIONS)]
    step = max(1, value.size // SAMPLES)
    return np.concatenate([[np.linalg.norm(value)], projections, value[::step][:SAMPLES]])


arrays = {}
for case, spec in CASES.items():
    exact, single = run(case, spec, torch.float64), run(case, spec, torch.float32)
    for key, value in exact.items():
        arrays[f"{case}.{key}"] = digest(f"{case}.{key}", value)
        error = np.linalg.norm(single[key] - value) / np.linalg.norm(value)
        arrays[f"{case}.{key}.float32"] = np.array([error])
write("nn_ops.safetensors", arrays, {"torch": torch.__version__, "numpy": np.__version__})
