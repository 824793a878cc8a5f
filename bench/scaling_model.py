#!/usr/bin/env python3
"""What N ranks on a network can be expected to do: the formulas of docs/scaling.md, and its tables.

    bench/scaling_model.py [--compute SECONDS --batch 16] [--parameters 22.35e6] [--ranks 8 64] [--gigabits 1 10 100]

SECONDS is what a training step of --batch samples takes on one rank by itself, as log.jsonl says under `timing`.
`bench/run scale` compares the same formulas with what it measures.
"""
import argparse
import dataclasses

CHUNK = 1 << 20  # bytes that the ranks sum at a time (src/comm), of which
UNDER_WAY = 8  # are under way together
NORMS = 40  # batch norms of two ResNet-18, each exchanged once forward and once backward by sync_bn


@dataclasses.dataclass(frozen=True)
class Network:
    gigabits: float  # that a rank sends, and receives, in a second
    latency: float = 30e-6  # seconds that a message takes
    message: float = 10e-6  # seconds of a CPU to send and receive one, which computes nothing meanwhile
    copy: float = 0.8e-9  # likewise for a byte sent or received, over TCP

    @property
    def bytes_per_second(self):
        return self.gigabits * 125e6


@dataclasses.dataclass(frozen=True)
class Work:
    compute: float  # seconds of a step by itself
    parameters: float = 22.35e6
    window: float = 0.55  # share of `compute` behind which sums can travel: the backward pass behind its first layers
    tail: float = 0.06  # share of the sums that is begun when nothing is left to compute


def exchange(ranks, parameters, network):
    """Seconds in which all gradients are summed, by themselves: every rank sends and receives 2 (N - 1) / N of them."""
    if ranks == 1:
        return 0.0
    size = 4 * parameters
    chunks = size / CHUNK
    wire = 2 * (ranks - 1) / ranks * size / network.bytes_per_second
    return wire + 2 * network.latency * chunks / UNDER_WAY


def exposed(ranks, work, network):
    """Seconds of these that a step is longer for."""
    alone = exchange(ranks, work.parameters, network)
    return max(alone - work.window * work.compute, work.tail * alone)


def step(ranks, work, network, sync=False):
    """Seconds of a step: computing, what of the exchange does not hide behind it, and the CPU's part in that."""
    messages = 2 * (ranks - 1) * 4 * work.parameters / CHUNK
    moved = 2 * 2 * (ranks - 1) / ranks * 4 * work.parameters
    norms = 2 * NORMS * (2 * network.latency + 2 * (ranks - 1) * network.message) if sync and ranks > 1 else 0
    return work.compute + exposed(ranks, work, network) + messages * network.message + moved * network.copy + norms


def efficiency(ranks, work, network, sync=False):
    """How much of N times one rank's samples a second N ranks make, each with as many samples as that one."""
    return work.compute / step(ranks, work, network, sync)


def table(ranks, gigabits, compute, batch, batches, parameters):
    print("| ranks | samples a rank and step | " + " | ".join(f"{g:g} Gbit/s" for g in gigabits) + " |")
    print("|---" * (2 + len(gigabits)) + "|")
    for count in ranks:
        for each in batches:
            work = Work(compute * each / batch, parameters)
            cells = []
            for speed in gigabits:
                share = efficiency(count, work, Network(speed))
                cells.append(f"{100 * share:.0f} %, {count * share:.1f} x")
            print(f"| {count} | {each} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description="Expected efficiency, and samples a second as a multiple of one rank's.")
    parser.add_argument("--compute", type=float, default=1.6, help="seconds of a step of one rank by itself (1.6)")
    parser.add_argument("--batch", type=int, default=16, help="samples of that step (16)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16, 64], help="samples of a rank in the table")
    parser.add_argument("--parameters", type=float, default=22.35e6, help="of the model (two ResNet-18)")
    parser.add_argument("--ranks", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--gigabits", type=float, nargs="+", default=[1, 10, 100])
    arguments = parser.parse_args()
    table(arguments.ranks, arguments.gigabits, arguments.compute, arguments.batch, arguments.batches,
          arguments.parameters)


if __name__ == "__main__":
    main()
