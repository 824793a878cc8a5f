"""Makes tests/golden/data/model_bf16 and model_bf16_eval.safetensors with PyTorch, for
tests/golden/test_model_golden.c. Needs numpy and torch; takes a few minutes.

The two ResNet-18 towers of make_model.py, one step: logits, loss and gradients in double, the latter as projections,
and how far PyTorch's bf16 autocast is from them, per tensor (it rounds the maps between operations to bf16, as ours,
and weights and the operands of convolutions as well). The root mean square over both memory formats. eval: the same
towers, as they are filled, in evaluation: features and logits."""
import numpy as np
import torch
from golden_file import write
from make_model import BATCH, CLASSES, GRADIENT_PROJECTIONS, VERSIONS, distance, projections, tower_run
from resnet import Model, ResNet, fill_model, picture_input


def evaluate(dtype, memory_format=torch.contiguous_format, autocast=False):
    model = Model({"audio": ResNet(1), "visual": ResNet(3)}, CLASSES)
    fill_model(model)
    model = model.to(dtype).to(memory_format=memory_format).eval()
    inputs = {"audio": picture_input("input.audio", BATCH, 1, 1, 256, 128).to(dtype),
              "visual": picture_input("input.visual", BATCH, 2, 3, 224, 224).to(dtype)}
    result = {}
    for name, encoder in model.encoders.items():
        encoder.register_forward_hook(lambda _module, _inputs, output, name=name: result.update({name: output}))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        result["logits"] = model(inputs)
    return {name: value.double().numpy() for name, value in result.items()}


def make_evaluation():
    exact = evaluate(torch.float64)
    halves = [evaluate(torch.float32, memory_format, autocast=True)
              for memory_format in (torch.contiguous_format, torch.channels_last)]
    arrays = {}
    for name, value in exact.items():
        own = np.sqrt(np.mean([distance(h[name], value) ** 2 for h in halves]))
        arrays |= {name: value, f"spread.output.{name}": np.asarray(own)}
        print(f"evaluation, {name}: PyTorch's bf16 autocast is off by {own / np.linalg.norm(value):.2e}")
    write("model_bf16_eval.safetensors", arrays, VERSIONS)


def make_step():
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
    make_evaluation()
    make_step()
