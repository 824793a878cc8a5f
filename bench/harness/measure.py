"""Interleaved measurement: A B A B, medians, spread, and whether the machine was ours alone."""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from harness import machine

# CPUs that others may use during a block before it counts as disturbed.
QUIET = 0.10


class BenchError(Exception):
    pass


@dataclasses.dataclass
class Settings:
    root: pathlib.Path
    build: pathlib.Path
    threads: int
    rounds: int
    wait: float  # seconds to wait for a quiet machine
    anyway: bool  # measure on a busy one

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


class Worker:
    """A process that sets up, prints one JSON line, and then for every line `run N` does N iterations
    and prints {"seconds": [...], "peak_rss_kib": ...}. `reset` forgets the peak so far."""

    def __init__(self, name, command, environment=None):
        self.name = name
        env = dict(os.environ, **(environment or {}))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                        start_new_session=True)
        self.ready = self._answer()

    def _answer(self):
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
        """Median seconds of an iteration, how many CPUs others used, and the answer."""
        watch = machine.Watch(self.process.pid)
        answer = self._ask(f"run {iterations}")
        return statistics.median(answer["seconds"]), watch.foreign(), answer

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
    """Seconds per iteration of both in every round."""
    ours: list
    peer: list
    foreign: list
    trusted: bool

    @property
    def ratios(self):
        return [peer / ours for ours, peer in zip(self.ours, self.peer)]


def interleave(settings, run_ours, run_peer):
    """Rounds of A B. Each function returns (seconds, foreign CPUs). Rounds in which others used the
    machine are made again, up to twice as many; if too few quiet ones remain, all count and the
    result is not trusted."""
    rounds = []
    while len(rounds) < 2 * settings.rounds:
        ours, foreign_ours = run_ours()
        peer, foreign_peer = run_peer()
        rounds.append((ours, peer, max(foreign_ours, foreign_peer)))
        if sum(foreign <= QUIET for *_, foreign in rounds) >= settings.rounds:
            break
    quiet = [row for row in rounds if row[2] <= QUIET]
    trusted = len(quiet) >= settings.rounds
    kept = quiet if trusted else rounds
    return Comparison([row[0] for row in kept], [row[1] for row in kept], [row[2] for row in rounds], trusted)


def result(name, settings, comparison, *, peer_name, unit, goal, work=None, checks, details=None):
    """`work` per iteration turns seconds into a rate (higher is better); None leaves seconds."""
    ratio = statistics.median(comparison.ratios)
    convert = (lambda seconds: work / seconds) if work else (lambda seconds: seconds)
    ours = [convert(value) for value in comparison.ours]
    peer = [convert(value) for value in comparison.peer]
    return finish(name, settings, ours=ours, peer=peer, ratios=comparison.ratios, ratio=ratio, peer_name=peer_name,
                  unit=unit, goal=goal, checks=checks, details=details, foreign=comparison.foreign,
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
