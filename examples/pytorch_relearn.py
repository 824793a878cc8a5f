"""Diagnosing & Re-learning inside a PyTorch training loop, by librelearn.so and nothing but ctypes: no build step.

    python3 pytorch_relearn.py [--library build/librelearn.so] [--save DIR] [--epochs 9]

Trains two small encoders, joined by one linear head, on data made here: `easy` is learnt fast, `hard` slowly. After every
third epoch each encoder is diagnosed on its training and validation features and its weights are pulled back to their first
values by its own alpha. --save writes the features of every diagnosis as DIR/EPOCH_MODALITY_train.npz and _val.npz:
`relearn diagnose --train ... --val ...` gives the same alphas."""
import argparse
import copy
import ctypes
import ctypes.util
import os

import numpy as np
import torch
from torch import nn

CLASSES, TRAIN, VAL, PERIOD = 4, 512, 128, 3
MODALITIES = ("easy", "hard")


# --- librelearn ---


class DiagnoseOptions(ctypes.Structure):
    """struct relearn_diagnose_options of relearn.h."""
    _fields_ = [("size", ctypes.c_size_t), ("classes", ctypes.c_int32), ("clusters", ctypes.c_int32),
                ("n_init", ctypes.c_int32), ("repeats", ctypes.c_int32), ("lambda_", ctypes.c_double),
                ("seed", ctypes.c_uint64), ("modality", ctypes.c_uint64), ("match_size", ctypes.c_int32),
                ("draws", ctypes.c_int32), ("threads", ctypes.c_int32), ("silhouette_samples", ctypes.c_int32)]


class Diagnosis(ctypes.Structure):
    """struct relearn_diagnosis of relearn.h."""
    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_double) for name in
        ("purity_train", "purity_val", "inertia_train", "inertia_val", "gap", "alpha", "nmi_train", "nmi_val",
         "ari_train", "ari_val", "silhouette_train", "silhouette_val")]


class Relearn:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.relearn_error_message.restype = ctypes.c_char_p
        for name in ("relearn_diagnose", "relearn_reinit"):
            getattr(self.library, name).restype = ctypes.c_int

    def _check(self, status):
        if status != 0:
            raise RuntimeError(self.library.relearn_error_message().decode())

    def diagnose(self, train, train_labels, val, val_labels, **settings):
        """NumPy arrays: features [samples][dims], labels [samples]. Settings are fields of DiagnoseOptions."""
        train, val = (np.ascontiguousarray(a, dtype=np.float32) for a in (train, val))
        train_labels, val_labels = (np.ascontiguousarray(a, dtype=np.int32) for a in (train_labels, val_labels))
        if train.shape[1] != val.shape[1] or len(train) != len(train_labels) or len(val) != len(val_labels):
            raise ValueError("features and labels do not fit together")
        options, result = DiagnoseOptions(), Diagnosis(size=ctypes.sizeof(Diagnosis))
        self.library.relearn_diagnose_options_init(ctypes.byref(options), ctypes.c_size_t(ctypes.sizeof(options)))
        for name, value in settings.items():
            setattr(options, name, value)
        self._check(self.library.relearn_diagnose(
            train.ctypes.data_as(ctypes.c_void_p), train_labels.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(len(train)), val.ctypes.data_as(ctypes.c_void_p),
            val_labels.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(val)), ctypes.c_size_t(train.shape[1]),
            ctypes.byref(options), ctypes.byref(result), None))
        return result

    def reinit(self, module, initial, alpha):
        """Pulls every parameter of a module back to `initial`, its state_dict of the beginning; in place."""
        for name, parameter in module.named_parameters():
            first, data = initial[name].contiguous(), parameter.data
            if data.dtype != torch.float32 or not data.is_contiguous() or data.device.type != "cpu":
                raise ValueError(f"{name}: contiguous float32 parameters on the CPU are pulled back")
            self._check(self.library.relearn_reinit(
                ctypes.c_void_p(data.data_ptr()), ctypes.c_void_p(first.data_ptr()), ctypes.c_size_t(data.numel()),
                ctypes.c_double(alpha)))


# --- data, model, training: yours go here ---


def make_data(samples, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, samples)
    centers = np.random.default_rng(0).normal(size=(CLASSES, 20))
    inputs = {name: torch.tensor(strength * centers[labels] + random.normal(size=(samples, 20)), dtype=torch.float32)
              for name, strength in zip(MODALITIES, (1.0, 0.35))}
    return inputs, torch.tensor(labels)


def make_encoder():
    return nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())


@torch.no_grad()
def features_of(encoder, inputs):
    encoder.eval()
    features = encoder(inputs).numpy()
    encoder.train()
    return features


def train_epoch(encoders, head, optimizer, data):
    inputs, labels = data
    for batch in torch.randperm(len(labels)).split(64):
        features = torch.cat([encoders[name](inputs[name][batch]) for name in MODALITIES], dim=1)
        loss = nn.functional.cross_entropy(head(features), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def find_library():
    near = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "librelearn.so")
    return near if os.path.exists(near) else ctypes.util.find_library("relearn")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=find_library(), help="librelearn.so")
    parser.add_argument("--save", help="folder for the features of every diagnosis")
    parser.add_argument("--epochs", type=int, default=9)
    arguments = parser.parse_args()
    relearn = Relearn(arguments.library)
    torch.manual_seed(0)
    train, val = make_data(TRAIN, 1), make_data(VAL, 2)
    encoders = nn.ModuleDict({name: make_encoder() for name in MODALITIES})
    head = nn.Linear(64, CLASSES)
    initial = {name: copy.deepcopy(encoders[name].state_dict()) for name in MODALITIES}
    optimizer = torch.optim.SGD([*encoders.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    for epoch in range(1, arguments.epochs + 1):
        loss = train_epoch(encoders, head, optimizer, train)
        print(f"epoch {epoch}: loss {loss:.4f}")
        if epoch % PERIOD != 0:
            continue
        for name in MODALITIES:
            splits = [(features_of(encoders[name], inputs[name]), labels.numpy()) for inputs, labels in (train, val)]
            diagnosis = relearn.diagnose(*splits[0], *splits[1], classes=CLASSES, lambda_=3.0)
            relearn.reinit(encoders[name], initial[name], diagnosis.alpha)
            print(f"  {name}: purity {diagnosis.purity_train:.4f} (train) {diagnosis.purity_val:.4f} (val), "
                  f"alpha {diagnosis.alpha!r}")
            for split, (features, labels) in zip(("train", "val"), splits):
                if arguments.save:
                    np.savez_compressed(os.path.join(arguments.save, f"{epoch}_{name}_{split}.npz"),
                                        features=features, labels=labels)


if __name__ == "__main__":
    main()
