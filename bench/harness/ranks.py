"""scale: training steps by several ranks, over no network and over limited ones, and what of the exchange is hidden."""
import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

import scaling_model
from harness import machine
from harness.measure import QUIET, BenchError, check, finish, note

BATCH = 16  # of a rank
STEPS = 2  # of a way and round
LIMIT = 0.6  # share of the exchange that is to be hidden at 1 Gbit/s
GOAL_ROUNDS = 3  # times as many rounds where that is measured
SMALL = 0.1  # an exchange that takes less of computing says nothing by what of it is hidden
# Losses of some steps by N ranks with sync_bn against one rank's with the same samples: sums in another order. Seen: 4e-5;
# without exchanging gradients 3e-2.
SAME_LOSS = 2e-4
SECONDS = 600  # of one measurement
# The same result whoever started the ranks.
ENVIRONMENT = {"RELEARN_KERNELS": "fixed", "OMP_WAIT_POLICY": "passive"}
MPIRUN = ["mpirun", "--bind-to", "none", "--oversubscribe"]


@dataclasses.dataclass
class Case:
    """Ranks, and what is between them: `network` "none" (one rank), "memory" (MPI on one machine), "wire" (MPI over TCP
    between network namespaces), "sockets" (the delaying transport of the tests)."""
    ranks: int
    threads: int
    batch: int = BATCH
    network: str = "none"
    megabits: int = 0
    microseconds: int = 0
    sync: bool = False
    rounds: int = 1  # times as many as asked for

    @property
    def label(self):
        parts = [f"{self.ranks} x {self.threads} threads, batch {self.batch} each"]
        if self.network != "none":
            parts.append(self.network)
        if self.megabits:
            parts.append(f"{self.megabits} Mbit/s")
        if self.microseconds:
            parts.append(f"{self.microseconds} us")
        if self.sync:
            parts.append("sync_bn")
        if self.ranks * self.threads > machine.cpu_count():
            parts.append("OVERSUBSCRIBED")
        return ", ".join(parts)


def run(command, what, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=SECONDS,
                          **options)
    if done.returncode != 0:
        raise BenchError(f"{what}: {done.stderr.strip() or f'ended with {done.returncode}'}")
    return done.stdout


# --- a network on this machine ---


class Wire:
    """A switch and `ranks` machines, as network namespaces; each sends and receives at most `megabits` (token bucket on
    both ends of its cable). mpirun starts its daemons in them as if by ssh."""

    def __init__(self, ranks, megabits):
        self.ranks, self.megabits = ranks, megabits
        self.prefix = f"relearn{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix="relearn-wire-")

    def name(self, rank):
        return f"{self.prefix}-{rank}"

    def _limit(self, namespace, device):
        if self.megabits:
            run(["ip", "netns", "exec", namespace, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate",
                 f"{self.megabits}mbit", "burst", "256kb", "latency", "20ms"], "tc")

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self):
        hub = self.name("hub")
        for name in (hub, *map(self.name, range(self.ranks))):
            run(["ip", "netns", "add", name], "ip netns")
            run(["ip", "-n", name, "link", "set", "lo", "up"], "ip link")
        run(["ip", "-n", hub, "link", "add", "br0", "type", "bridge"], "ip link")
        run(["ip", "-n", hub, "addr", "add", "10.77.0.1/24", "dev", "br0"], "ip addr")
        run(["ip", "-n", hub, "link", "set", "br0", "up"], "ip link")
        for rank in range(self.ranks):
            name, port = self.name(rank), f"port{rank}"
            run(["ip", "link", "add", port, "netns", hub, "type", "veth", "peer", "name", "eth0", "netns", name], "ip link")
            run(["ip", "-n", hub, "link", "set", port, "master", "br0", "up"], "ip link")
            run(["ip", "-n", name, "link", "set", "eth0", "up"], "ip link")
            run(["ip", "-n", name, "addr", "add", f"10.77.0.{10 + rank}/24", "dev", "eth0"], "ip addr")
            self._limit(name, "eth0")
            self._limit(hub, port)
        self.agent = os.path.join(self.folder, "agent")
        with open(self.agent, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nrank=$((${1##*.} - 10))\nshift\n"
                       f"exec ip netns exec {self.prefix}-$rank unshare -u sh -c \"hostname rank$rank; $*\"\n")
        os.chmod(self.agent, 0o755)

    def __exit__(self, *_):
        for name in ("hub", *range(self.ranks)):
            subprocess.run(["ip", "netns", "del", self.name(name)], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def command(self):
        hosts = ",".join(f"10.77.0.{10 + rank}" for rank in range(self.ranks))
        return ["ip", "netns", "exec", self.name("hub"), *MPIRUN, "--allow-run-as-root", "--host", hosts, "--mca",
                "plm_rsh_agent", self.agent, "--mca", "pml", "ob1", "--mca", "btl", "tcp,self", "--mca",
                "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "10.77.0.0/24"]


def wires_work():
    """Whether this machine allows network namespaces with limited bandwidth; says why not."""
    if not shutil.which("mpirun"):
        note("scale: no mpirun: limited networks are those of the delaying transport")
        return False
    try:
        with Wire(1, 1000):
            return True
    except (BenchError, OSError) as error:
        note(f"scale: no network namespaces ({error}): limited networks are those of the delaying transport")
        return False


# --- measuring ---


def arguments(settings, case):
    ranks = case.ranks if case.network in ("none", "sockets") else 0
    return [settings.program("ranks"), "--ranks", str(ranks), "--threads", str(case.threads), "--batch", str(case.batch),
            "--steps", str(STEPS), "--rounds", str(case.rounds * settings.rounds), "--sync", str(int(case.sync)), "--megabits",
            str(case.megabits), "--microseconds", str(case.microseconds)]


def mpi(settings, case, start):
    environment = ENVIRONMENT | {"RELEARN_MPI": str(settings.build / "relearn-mpi.so")}
    exports = [word for name, value in environment.items() for word in ("-x", f"{name}={value}")]
    # A core for each thread, as on machines of their own.
    pin = ["sh", "-c", f'exec taskset -c $((OMPI_COMM_WORLD_RANK % {machine.cpu_count()})) "$@"', "sh"]
    return [*start, "-np", str(case.ranks), *exports, *(pin if case.threads == 1 else []), *arguments(settings, case)]


def measure(settings, case):
    """What bench/ranks says, and the CPUs that others used."""
    with contextlib.ExitStack() as stack:
        if case.network == "wire":
            command = mpi(settings, case, stack.enter_context(Wire(case.ranks, case.megabits)).command)
        elif case.network == "memory":
            root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
            command = mpi(settings, case, [*MPIRUN, *root])
        else:
            command = arguments(settings, case)
        watch, started = machine.Watch(), time.monotonic()
        answer = json.loads(run(command, case.label, env=os.environ | ENVIRONMENT).splitlines()[-1])
        foreign, mine = watch.stop()
        # What mpirun's daemons started is no child of ours.
        unseen = max(0.0, answer["cpu_seconds"] - mine) / (time.monotonic() - started)
    return answer, max(0.0, foreign - unseen)


def hidden(answer):
    """Of the exchange's time by itself, the share by which steps are shorter than computing and exchanging in turn; a
    value for each round."""
    return [1 - (step - compute) / exchange
            for compute, exchange, step in zip(answer["compute"], answer["exchange"], answer["step"])]


def account(case, answer, foreign):
    median = {way: statistics.median(answer[way]) for way in ("compute", "exchange", "step")}
    least = {way: min(answer[way]) for way in median}
    row = {"case": case.label, **dataclasses.asdict(case), "samples_per_second": case.ranks * case.batch / median["step"],
           "seconds": median, "least_seconds": least, "waited_seconds": statistics.median(answer["step_waited"]),
           "sent_bytes": answer["sent_bytes"], "losses": answer["losses"], "foreign_cpus": round(foreign, 3)}
    shares = ""
    if case.ranks > 1:
        added = [step - compute for compute, step in zip(answer["compute"], answer["step"])]
        row["added_seconds"] = statistics.median(added)
        shares = f", exchange alone {median['exchange']:.3f} s, adds {row['added_seconds']:.3f} s"
    if case.ranks > 1 and median["exchange"] > SMALL * median["compute"]:
        every = hidden(answer)
        row["hidden"], row["hidden_range"] = statistics.median(every), [min(every), max(every)]
        shares += f", hidden {100 * row['hidden']:.0f} % ({100 * min(every):.0f} to {100 * max(every):.0f})"
    if case.megabits:
        network = scaling_model.Network(case.megabits / 1000, case.microseconds / 1e6 or scaling_model.Network.latency)
        work = scaling_model.Work(median["compute"], answer["parameters"])
        # The norms' exchange by itself is in what computing took.
        behind = scaling_model.norms_behind(case.ranks, work, network) if case.sync else 0
        row["model_seconds"] = scaling_model.step(case.ranks, work, network) + behind
        row["model_exchange_seconds"] = scaling_model.exchange(case.ranks, answer["parameters"], network)
    if "model_seconds" in row:
        shares += f" (model: step {row['model_seconds']:.3f} s, exchange {row['model_exchange_seconds']:.3f} s)"
    note(f"  {case.label}: {row['samples_per_second']:.2f} samples/s, step {median['step']:.3f} s, computing "
         f"{median['compute']:.3f} s{shares}{'' if foreign <= QUIET else f', others used {foreign:.2f} CPUs'}")
    return row


def cases(settings):
    wire = "wire" if wires_work() else "sockets"
    memory = "memory" if shutil.which("mpirun") else "sockets"
    goal = Case(2, 1, network=wire, megabits=1000, rounds=GOAL_ROUNDS)
    return goal, [
        Case(1, 1), Case(1, settings.threads, 2 * BATCH), Case(2, 1, network=memory),
        Case(2, 1, network=wire, megabits=10000), goal, Case(2, 1, network=wire, megabits=100),
        Case(2, 1, network=memory, sync=True), Case(2, 1, network=wire, megabits=1000, sync=True),
        Case(2, 1, network="sockets", megabits=1000, microseconds=500),
        Case(2, 1, network="sockets", megabits=1000, microseconds=500, sync=True),
        Case(4, 1, BATCH // 2, network=memory), Case(4, 1, BATCH // 2, network=wire, megabits=1000),
        Case(4, 1, BATCH // 2, network=memory, sync=True),
    ]


def apart(ours, theirs):
    return max(abs(a - b) for a, b in zip(ours["losses"], theirs["losses"], strict=True))


def loss_checks(rows):
    """Sums have the same bits whatever carries them, and with sync_bn N ranks do what one does with all their samples."""
    checks = {}
    for ranks, sync in sorted({(row["ranks"], row["sync"]) for row in rows if row["ranks"] > 1}):
        alike = [row for row in rows if (row["ranks"], row["sync"]) == (ranks, sync)]
        name = f"{ranks} ranks{' with sync_bn' if sync else ''}"
        if len(alike) > 1:
            checks[f"losses of {name} over other networks"] = check(max(apart(alike[0], row) for row in alike), 0)
        if sync:
            whole = next(row for row in rows if row["ranks"] == 1 and row["batch"] == ranks * alike[0]["batch"])
            checks[f"losses of {name} and of one"] = check(apart(alike[0], whole), SAME_LOSS)
    return checks


def scale(name, settings):
    goal, every = cases(settings)
    rows, foreign, shares = [], [], None
    for case in every:
        answer, others = measure(settings, case)
        rows.append(account(case, answer, others))
        foreign.append(others)
        if case is goal:
            shares = hidden(answer)
    whole = next(row for row in rows if row["ranks"] == 1 and row["threads"] == settings.threads)
    details = {"cases": rows, "speedup_of_2_ranks": {row["case"]: round(row["samples_per_second"] /
                                                                       whole["samples_per_second"], 3)
                                                     for row in rows if row["ranks"] == 2}}
    return finish(name, settings, ours=shares, peer=[LIMIT], ratios=[share / LIMIT for share in shares],
                  ratio=statistics.median(shares) / LIMIT, peer_name=f"a limit of {LIMIT} at 1 Gbit/s", unit="hidden",
                  goal=1.0, checks=loss_checks(rows), foreign=foreign,
                  trusted=max(foreign) <= QUIET, details=details)


BENCHMARKS = {"scale": scale}
