"""Makes tests/golden/data/model_bf16.safetensors with PyTorch, for tests/golden/test_model_golden.c. Needs numpy and
torch; takes a few minutes.

The two ResNet-18 towers of make_model.py, one step: logits, loss and gradients in double, the latter as projections,
and how far PyTorch's bf16 autocast is from them, per tensor (it rounds the maps between operations to bf16, as ours,
and weights and the operands of convolutions as well). The root mean square over both memory formats."""
import numpy as np
import torch
from golden_file import write
from make_model import GRADIENT_PROJECTIONS, VERSIONS, distance, projections, tower_run


def main():
    exact = tower_run(torch.float64, steps=1)
    halves = [tower_run(torch.float32, autocast=True, steps=1),
              tower_run(torch.float32, torch.channels_last, autocast=True, steps=1)]
    arrays = {"logits": exact["logits"], "losses": np.asarray(exact["losses"])}
    arrays["spread.output.logits"] = np.asarray(np.sqrt(np.mean([distance(h["logits"], exact["logits"]) ** 2 for h in halves])))
    arrays["spread.output.losses"] = np.asarray(max(abs(h["losses"][0] - exact["losses"][0]) for h in halves))
    print("logits off by", arrays["spread.output.logits"] / np.linalg.norm(exact["logits"]), "loss by", arrays["spread.output.losses"])
    shares = []
    for name, value in exact["gradient"].items():
        own = np.sqrt(np.mean([distance(h["gradient"][name], value) ** 2 for h in halves]))
        norm = np.linalg.norm(value.ravel())
        shares.append(own / norm)
        arrays[f"gradient.{name}"] = np.concatenate([[norm], projections(name, value, GRADIENT_PROJECTIONS)])
        arrays[f"spread.gradient.{name}"] = np.asarray(own)
    print(f"gradient: {len(shares)} tensors, PyTorch's bf16 autocast is off by {np.median(shares):.2e} (median), "
          f"{min(shares):.2e} to {max(shares):.2e}")
    write("model_bf16.safetensors", arrays, VERSIONS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
