"""The machine: what it is, and whether somebody else is using it."""
import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_count():
    return len(os.sched_getaffinity(0))


def describe(threads):
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        rows = dict(line.split(":", 1) for line in file if ":" in line)
    keys = {key.strip(): value.strip() for key, value in rows.items()}
    model = keys.get("model name", model)
    family = f"family {keys.get('cpu family', '?')} model {keys.get('model', '?')}"
    features = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16")
                if flag in keys.get("flags", "").split()]
    return {"cpu": f"{model}, {family}", "features": features, "cpus": cpu_count(), "threads": threads,
            "load_average": round(os.getloadavg()[0], 2)}


def _busy():
    """Seconds of CPU time that anybody used since boot, all CPUs together; stolen time included."""
    with open("/proc/stat", encoding="utf-8") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def _session(session):
    """Seconds of CPU time used by the living processes of a session, and the children they reaped."""
    total = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[3]) == session:
            total += sum(map(int, fields[11:15]))
    return total / TICKS


class Watch:
    """How many CPUs others used between its beginning and `stop()`; `session` and this process are ours."""

    def __init__(self, session=None):
        self.session = session
        self.started = time.monotonic()
        self.busy, self.mine = _busy(), self._mine()

    def _mine(self):
        own = os.times()
        mine = own.user + own.system + own.children_user + own.children_system
        return mine + (_session(self.session) if self.session else 0)

    def stop(self):
        """(CPUs that others used, seconds of CPU time that we used)"""
        elapsed = max(time.monotonic() - self.started, 1e-3)
        mine = self._mine() - self.mine
        used = _busy() - self.busy - mine
        # A tick more or less is noise in a short block.
        return max(0.0, used - 0.02) / elapsed, mine


def foreign_now(seconds=1.0):
    watch = Watch()
    time.sleep(seconds)
    return watch.stop()[0]
