"""scaling: the training step with one thread and with more, ours and PyTorch's; and ours operation by operation."""
import contextlib
import dataclasses
import re
import statistics
import subprocess

from harness import machine, networks
from harness.measure import QUIET, BenchError, Worker, finish, note, quiet_rounds

PEER = "cl+jemalloc"  # of PyTorch's f32 variants usually the fastest
STEPS = 3  # of a block
PROFILES, PROFILED_STEPS = 2, 4
# A line of bench/profile: operation, name, shape, kernels, milliseconds forward and backward.
LINE = re.compile(r"(?P<type>\w+) +(?P<name>\S+) +(?P<shape>\d+(?:x\d+)+) .*?"
                  r"(?: forward (?P<forward>[\d.]+) ms)?(?: backward (?P<backward>[\d.]+) ms)?$")


def counts(settings):
    """1, 2 and, where there are more, all CPUs that --threads allows."""
    most = settings.threads
    if most < 2:
        raise BenchError("one CPU: there is nothing to scale to")
    return sorted({1, 2, most})


# --- whole steps ---


def steps(settings, peer):
    """What quiet_rounds says of blocks {(side, threads): Block}, and whether both sides did the same."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for threads in counts(settings):
            some = dataclasses.replace(settings, threads=threads)
            workers["ours", threads] = stack.enter_context(networks.start_ours(some, "step", "f32"))
            workers["peer", threads] = stack.enter_context(networks.start_torch(some, "step", peer))
        checks = networks.same_work(workers["ours", 2].ready, workers["peer", 2].ready, networks.LIMITS["f32"])
        for worker in workers.values():
            worker.run(1)
        rounds, foreign, trusted = quiet_rounds(settings, lambda: [worker.run(STEPS) for worker in workers.values()])
        return [dict(zip(workers, blocks)) for blocks in rounds], foreign, trusted, checks


def speedups(rounds, side, threads):
    return [blocks[side, 1].seconds / blocks[side, threads].seconds for blocks in rounds]


# --- operations ---


def profile(settings, threads):
    """{(tower, operation, pass): milliseconds}; ("", "rest", "step") is what no operation accounts for."""
    command = [settings.program("profile"), "--threads", str(threads), "--iterations", str(PROFILED_STEPS), "--batch",
               str(networks.BATCH)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")
    rows, tower = {}, ""
    for line in done.stdout.splitlines():
        if line.startswith("all: "):
            rows["", "rest", "step"] = float(line.split()[1]) - sum(rows.values())
        elif match := LINE.match(line):
            for way in ("forward", "backward"):
                if match[way]:
                    rows[tower, f"{match['type']} {match['name']} {match['shape']}", way] = float(match[way])
        elif " " not in line:
            tower = line
    if ("", "rest", "step") not in rows or len(rows) < 10:
        raise BenchError(f"{command[0]}: not the lines that were expected")
    return rows


def operations(settings, threads):
    """Rows of every operation and pass, the worst speed-up first."""
    found = {1: [], threads: []}
    for _ in range(PROFILES):
        for number, profiles in found.items():
            profiles.append(profile(settings, number))
    rows = []
    for key in found[1][0]:
        one, more = (statistics.median(rows[key] for rows in found[number]) for number in (1, threads))
        rows.append({"tower": key[0], "operation": key[1], "pass": key[2], "ms_1": round(one, 3),
                     f"ms_{threads}": round(more, 3), "speedup": round(one / more, 3) if more > 0 else None})
    return sorted(rows, key=lambda row: row["speedup"] or 0)


# --- the machine ---


def machine_rates(settings):
    """Of every number of threads: microseconds of an empty parallel region, GB/s of reading and copying."""
    rates = {}
    for threads in counts(settings):
        with Worker(f"machine, {threads} threads", [settings.program("machine"), "--threads", str(threads)]) as worker:
            accounts = [worker.run(1).answer["account"] for _ in range(3)]
        rates[threads] = {key: round(statistics.median(account[key] for account in accounts), 3) for key in accounts[0]}
    return rates


def scaling(name, settings):
    """How many times as fast the step is with all threads as with one."""
    peer, most = settings.peer or PEER, counts(settings)[-1]
    rounds, foreign, trusted, checks = steps(settings, peer)
    watch = machine.Watch()
    rows, rates = operations(settings, most), machine_rates(settings)
    foreign.append(watch.stop()[0])
    ours, theirs = speedups(rounds, "ours", most), speedups(rounds, "peer", most)
    seconds = {f"{side}, {threads} threads": round(statistics.median(blocks[side, threads].seconds for blocks in rounds), 4)
               for side, threads in sorted(rounds[0])}
    note(f"  seconds a step: {seconds}")
    note(f"  machine: {rates}")
    for row in [row for row in rows if row["ms_1"] > 2][:6]:
        note(f"  {row['tower']} {row['operation']} {row['pass']}: {row['ms_1']} ms, {row['speedup']} times as fast")
    return finish(name, settings, ours=ours, peer=theirs, ratios=[a / b for a, b in zip(ours, theirs)],
                  ratio=statistics.median(a / b for a, b in zip(ours, theirs)),
                  peer_name=f"PyTorch {peer}, {most} threads", unit="x", goal=0.95, checks=checks, foreign=foreign,
                  trusted=trusted and foreign[-1] <= QUIET,
                  details={"seconds_per_step": seconds, "machine": {str(key): value for key, value in rates.items()},
                           "operations": rows})


BENCHMARKS = {"scaling": scaling}
