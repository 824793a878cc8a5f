#!/usr/bin/env python3
"""What N ranks on a network can be expected to do: the formulas of docs/scaling.md, and its tables.

    bench/scaling_model.py [--compute SECONDS --batch 16] [--parameters 22.35e6] [--ranks 8 64] [--gigabits 1 10 100] [--each 8]

SECONDS is what a training step of --batch samples takes on one rank by itself, as log.jsonl says under `timing`.
`bench/run scale` compares the same formulas with what it measures.
"""
import argparse
import dataclasses

# src/comm/comm.c: bytes of the sums of gradients that are under way at a time, and with sync_bn; in messages of so many,
# unless that makes a chunk (a message to every rank) larger than the next.
UNDER_WAY, UNDER_WAY_SYNC = 8 << 20, 1 << 20
MESSAGE, CHUNK = 128 << 10, 1 << 20
NORMS = 40  # batch norms of two ResNet-18, each exchanged once forward and once backward by sync_bn


@dataclasses.dataclass(frozen=True)
class Network:
    gigabits: float  # that a rank sends, and receives, in a second
    latency: float = 30e-6  # seconds that a message takes
    payload: float = 0.95  # share of that which is not headers and acknowledgements
    tcp: float = 1.06e-9  # seconds a byte that TCP takes at least, on one core and both ways
    message: float = 10e-6  # seconds of a CPU to send and receive one, which computes nothing meanwhile
    copy: float = 0.6e-9  # likewise for a byte sent or received, over TCP, and adding it

    @property
    def bytes_per_second(self):
        return min(self.payload * self.gigabits * 125e6, 1 / self.tcp)


@dataclasses.dataclass(frozen=True)
class Work:
    compute: float  # seconds of a pass over a rank's samples by itself
    parameters: float = 22.35e6
    passes: int = 1  # for one exchange: accumulation of gradients, which the program does not have
    width: int = 4  # bytes that a value of the gradients is sent as; the program sends floats
    window: float = 0.6  # share of `compute` behind which sums can travel: the backward pass behind its first layers
    tail: float = 0.06  # share of the sums that is begun when nothing is left to compute


def exchange(ranks, parameters, network, width=4):
    """Seconds in which all gradients are summed, by themselves: every rank sends and receives 2 (N - 1) / N of them."""
    if ranks == 1:
        return 0.0
    size = width * parameters
    wire = 2 * (ranks - 1) / ranks * size / network.bytes_per_second
    return wire + 2 * network.latency * size / UNDER_WAY


def exposed(ranks, work, network):
    """Seconds of these that a step is longer for."""
    alone = exchange(ranks, work.parameters, network, work.width)
    return max(alone - work.window * work.compute, work.tail * alone)


def step(ranks, work, network, sync=False):
    """Seconds of a step: computing, what of the exchange does not hide behind it, and the CPU's part in that."""
    messages = 2 * (ranks - 1) * work.width * work.parameters / min(ranks * MESSAGE, CHUNK)
    moved = 2 * 2 * (ranks - 1) / ranks * work.width * work.parameters
    norms = norms_exchange(ranks, network) + norms_behind(ranks, work, network) if sync and ranks > 1 else 0
    handled = messages * network.message + moved * network.copy
    return work.passes * work.compute + exposed(ranks, work, network) + handled + norms


def norms_exchange(ranks, network):
    """Seconds of sync_bn's sums by themselves."""
    return 2 * NORMS * (2 * network.latency + 2 * (ranks - 1) * network.message)


def norms_behind(ranks, work, network):
    """Seconds that those of the backward pass wait for gradients that were sent before them: half of what is under way."""
    return min(NORMS * UNDER_WAY_SYNC / 2 / network.bytes_per_second, exchange(ranks, work.parameters, network))


def efficiency(ranks, work, network, sync=False):
    """How much of N times one rank's samples a second N ranks make, each with as many samples as that one."""
    return work.passes * work.compute / step(ranks, work, network, sync)


def remedies(ranks, gigabits, compute, batch, each, parameters):
    """What would help N ranks with `each` samples on the slowest network."""
    own = Work(compute * each / batch, parameters)
    print(f"| {each} samples a rank, {gigabits[0]:g} Gbit/s | " + " | ".join(f"{count} ranks" for count in ranks) + " |")
    print("|---" * (1 + len(ranks)) + "|")
    for what, work in {
            "as it is": own,
            "gradients accumulated over 2 passes": dataclasses.replace(own, passes=2),
            "over 4": dataclasses.replace(own, passes=4),
            "a batch 2 times as large": dataclasses.replace(own, compute=2 * own.compute),
            "4 times": dataclasses.replace(own, compute=4 * own.compute),
            "gradients sent as bf16": dataclasses.replace(own, width=2),
            "that, and 4 passes": dataclasses.replace(own, width=2, passes=4)}.items():
        cells = [f"{100 * efficiency(count, work, Network(gigabits[0])):.0f} %" for count in ranks]
        print(f"| {what} | " + " | ".join(cells) + " |")


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
    parser.add_argument("--each", type=int, default=8, help="samples of a rank in the table of remedies")
    parser.add_argument("--parameters", type=float, default=22.35e6, help="of the model (two ResNet-18)")
    parser.add_argument("--ranks", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--gigabits", type=float, nargs="+", default=[1, 10, 100])
    arguments = parser.parse_args()
    table(arguments.ranks, arguments.gigabits, arguments.compute, arguments.batch, arguments.batches,
          arguments.parameters)
    print()
    remedies(arguments.ranks, arguments.gigabits, arguments.compute, arguments.batch, arguments.each,
             arguments.parameters)


if __name__ == "__main__":
    main()
