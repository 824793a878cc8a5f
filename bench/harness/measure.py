"""Interleaved measurement: A B A B, medians, spread, and whether the machine was ours alone."""
import dataclasses
import json
import os
import pathlib
import select
import statistics
import subprocess
import sys
import time

from harness import machine

# CPUs that others may use during a block before it counts as disturbed.
QUIET = 0.10


# Seconds that a worker may take to be ready (torch.compile may be slow), and for an answer.
READY_SECONDS, ANSWER_SECONDS = 240, 120


class BenchError(Exception):
    pass


class TooSlow(BenchError):
    pass


@dataclasses.dataclass
class Settings:
    root: pathlib.Path
    build: pathlib.Path
    threads: int
    rounds: int
    wait: float  # seconds to wait for a quiet machine
    anyway: bool  # measure on a busy one
    peer: str | None = None  # the only variant of PyTorch to measure

    @property
    def data(self):
        path = self.build / "bench-data"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def program(self, name):
        path = self.build / "bench" / name
        if not path.exists():
            raise BenchError(f"{path}: not built (run `make bench-programs`)")
        return str(path)


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def wait_for_quiet(settings):
    """Returns when others use little CPU; raises after settings.wait seconds unless told to go on."""
    deadline = time.monotonic() + settings.wait
    while (foreign := machine.foreign_now()) > QUIET:
        if settings.anyway:
            note(f"others use {foreign:.2f} CPUs: figures will not be trusted")
            return
        if time.monotonic() > deadline:
            raise BenchError(f"others use {foreign:.2f} CPUs: no figure would be true "
                             "(try later, wait longer with --wait SECONDS, or measure with --anyway)")
        time.sleep(2)


@dataclasses.dataclass
class Block:
    """One turn of one side."""
    seconds: float  # of an iteration, median
    foreign: float  # CPUs that others used
    cpu: float  # seconds of CPU time of an iteration, all threads
    answer: dict = dataclasses.field(default_factory=dict)


def relearn(settings, *arguments):
    """Runs the program; raises with its message."""
    command = [str(settings.build / "relearn"), *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Worker:
    """A process that sets up, prints one JSON line, and then for every line `run N` does N iterations
    and prints {"seconds": [...], "peak_rss_kib": ...}. `reset` forgets the peak so far."""

    def __init__(self, name, command, environment=None):
        self.name = name
        env = dict(os.environ, **(environment or {}))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                        start_new_session=True)
        self.ready = self._answer(READY_SECONDS)

    def _answer(self, limit=ANSWER_SECONDS):
        # Answers are single lines, so that nothing lies in Python's buffer when one is awaited.
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.process.kill()
            self.process.wait()
            raise TooSlow(f"{self.name}: no answer within {limit} s")
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise BenchError(f"{self.name}: ended with {code} (its message is above)")
        return json.loads(line)

    def _ask(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # _answer tells why
        return self._answer()

    def run(self, iterations):
        watch = machine.Watch(self.process.pid)
        answer = self._ask(f"run {iterations}")
        foreign, cpu = watch.stop()
        return Block(statistics.median(answer["seconds"]), foreign, cpu / iterations, answer)

    def reset_peak(self):
        self._ask("reset")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def spread(values):
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4),
            "max": round(max(values), 4), "count": len(values)}


@dataclasses.dataclass
class Comparison:
    """Blocks of both sides, a pair for every round."""
    ours: list
    peer: list
    foreign: list  # CPUs that others used, of every round made
    trusted: bool

    @property
    def ratios(self):
        return [peer.seconds / ours.seconds for ours, peer in zip(self.ours, self.peer)]

    @property
    def ratio(self):
        return statistics.median(self.ratios)

    def seconds(self, side):
        return [block.seconds for block in getattr(self, side)]

    def cpu_seconds(self):
        """Of an iteration. Threads that wait for others spin, so on a busy machine this says little about
        programs whose threads work hand in hand."""
        return {side: round(statistics.median(block.cpu for block in getattr(self, side)), 4)
                for side in ("ours", "peer")}


def quiet_rounds(settings, turn):
    """Rounds of turn() -> blocks, in settings.rounds of which nobody else used the machine: (rounds to count,
    CPUs that others used in every round made, whether those that count were quiet). Disturbed rounds are made
    again, up to twice as many in all; if too few quiet ones remain, all count."""
    rounds, foreign = [], []
    while len(rounds) < 2 * settings.rounds:
        rounds.append(turn())
        foreign.append(max(block.foreign for block in rounds[-1]))
        quiet = [blocks for blocks, busy in zip(rounds, foreign) if busy <= QUIET]
        # On a machine known to be busy there is no use in trying again.
        if len(quiet) >= settings.rounds or (settings.anyway and len(rounds) >= settings.rounds):
            break
    trusted = len(quiet) >= settings.rounds
    return quiet if trusted else rounds, foreign, trusted


def interleave(settings, run_ours, run_peer):
    """Rounds of A B; each function returns a Block."""
    rounds, foreign, trusted = quiet_rounds(settings, lambda: (run_ours(), run_peer()))
    return Comparison([pair[0] for pair in rounds], [pair[1] for pair in rounds], foreign, trusted)


def result(name, settings, comparison, *, peer_name, unit, goal, work=None, checks, details=None):
    """`work` per iteration turns seconds into a rate (higher is better); None leaves seconds."""
    convert = (lambda seconds: work / seconds) if work else (lambda seconds: seconds)
    return finish(name, settings, ours=[convert(value) for value in comparison.seconds("ours")],
                  peer=[convert(value) for value in comparison.seconds("peer")], ratios=comparison.ratios,
                  ratio=comparison.ratio, peer_name=peer_name, unit=unit, goal=goal, checks=checks,
                  details={"cpu_seconds": comparison.cpu_seconds(), **(details or {})}, foreign=comparison.foreign,
                  trusted=comparison.trusted)


def finish(name, settings, *, ours, peer, ratios, ratio, peer_name, unit, goal, checks, foreign, trusted,
           details=None):
    failed = [check for check, value in checks.items() if not value["ok"]]
    return {
        "name": name, "ours": round(statistics.median(ours), 4), "peer": round(statistics.median(peer), 4),
        "peer_name": peer_name, "unit": unit, "ratio": round(ratio, 3), "goal": goal, "met": bool(ratio >= goal),
        "trusted": bool(trusted and not failed),
        "spread": {"ours": spread(ours), "peer": spread(peer), "ratio": spread(ratios)},
        "checks": checks, "same_result": not failed, "details": details or {},
        "foreign_cpus": {"median": round(statistics.median(foreign), 3), "max": round(max(foreign), 3)},
        "machine": machine.describe(settings.threads),
    }


def check(value, limit):
    """One comparison of results: `value` is a difference that must not exceed `limit`."""
    return {"difference": float(f"{value:.3g}"), "limit": limit, "ok": bool(value <= limit)}
