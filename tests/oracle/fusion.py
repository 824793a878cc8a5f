"""Fusions as OGM-GE defines them, in PyTorch; the names of their parameters are ours. The first modality is x, the
second y."""
import torch
from torch import nn


class Concat(nn.Linear):
    def __init__(self, sizes, classes):
        super().__init__(sum(sizes.values()), classes)

    def forward(self, features):
        return super().forward(torch.cat(list(features.values()), 1))

    def parts(self, features):
        """Logits of every modality alone: W_m f_m + b / M."""
        widths = [f.shape[1] for f in features.values()]
        return {name: f @ w.T + self.bias / len(features)
                for (name, f), w in zip(features.items(), self.weight.split(widths, 1))}


class Sum(nn.Module):
    def __init__(self, sizes, classes):
        super().__init__()
        for name, size in sizes.items():
            setattr(self, name, nn.Linear(size, classes))

    def forward(self, features):
        return sum(getattr(self, name)(f) for name, f in features.items())

    def parts(self, features):
        return {name: f @ getattr(self, name).weight.T + getattr(self, name).bias / len(features)
                for name, f in features.items()}


class Gated(nn.Module):
    def __init__(self, sizes, classes):
        super().__init__()
        x, y = sizes.values()
        self.fc_x, self.fc_y, self.fc_out = nn.Linear(x, y), nn.Linear(y, y), nn.Linear(y, classes)

    def forward(self, features):
        x, y = features.values()
        return self.fc_out(torch.sigmoid(self.fc_x(x)) * self.fc_y(y))


class Film(nn.Module):
    def __init__(self, sizes, classes):
        super().__init__()
        x, y = sizes.values()
        self.fc, self.fc_out = nn.Linear(x, 2 * y), nn.Linear(y, classes)

    def forward(self, features):
        x, y = features.values()
        gamma, beta = self.fc(x).split(y.shape[1], 1)
        return self.fc_out(gamma * y + beta)


FUSIONS = {"concat": Concat, "sum": Sum, "gated": Gated, "film": Film}
