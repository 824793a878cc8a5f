"""Command line of bench/run."""
import argparse
import json

from harness import clustering, growth, machine, networks, preparing, ranks, reiniting, scaling, training
from harness.measure import BenchError, Settings, note, wait_for_quiet

BENCHMARKS = {
    **networks.BENCHMARKS,
    **clustering.BENCHMARKS,
    **preparing.BENCHMARKS,
    **reiniting.BENCHMARKS,
    **training.BENCHMARKS,
    **growth.BENCHMARKS,
    **scaling.BENCHMARKS,
    **ranks.BENCHMARKS,
}


def parse(root, build):
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures relearn against its peers.",
                                     epilog="See docs/benchmarks.md.")
    parser.add_argument("name", choices=[*BENCHMARKS, "all", "setup"], metavar="NAME",
                        help=", ".join(BENCHMARKS) + ", all; setup only installs the peers")
    parser.add_argument("--json", action="store_true", help="one JSON document a line and benchmark on stdout")
    parser.add_argument("--threads", type=int, default=machine.cpu_count(), help="of both sides (all CPUs)")
    parser.add_argument("--rounds", type=int, default=5, help="of A B (5)")
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for a quiet machine (60)")
    parser.add_argument("--anyway", action="store_true", help="measure although others use the machine")
    parser.add_argument("--peer", metavar="VARIANT", help="of step-* and eval-*: measure against this variant of "
                        "PyTorch alone (cl+jemalloc, say) instead of the fastest")
    arguments = parser.parse_args()
    if arguments.threads < 1 or arguments.rounds < 1:
        parser.error("--threads and --rounds are at least 1")
    settings = Settings(root, build, arguments.threads, arguments.rounds, arguments.wait, arguments.anyway,
                        arguments.peer)
    return arguments, settings


def show(row):
    verdict = "met" if row["met"] else "NOT MET"
    ratios = row["spread"]["ratio"]
    print(f"{row['name']:15s} ours {row['ours']:10.4g}  peer {row['peer']:10.4g} {row['unit']:10s} "
          f"ratio {row['ratio']:.2f} [{ratios['min']:.2f} - {ratios['max']:.2f}]  goal {row['goal']:.2f} {verdict}"
          f"{'' if row['trusted'] else '  NOT TRUSTED'}  ({row['peer_name']})", flush=True)


def main(root, build):
    arguments, settings = parse(root, build)
    if arguments.name == "setup":
        return 0
    names = list(BENCHMARKS) if arguments.name == "all" else [arguments.name]
    failed = 0
    for name in names:
        try:
            wait_for_quiet(settings)
            row = BENCHMARKS[name](name, settings)
        except BenchError as error:
            note(f"{name}: {error}")
            failed += 1
            continue
        for what, value in row["checks"].items():
            if not value["ok"]:
                note(f"{name}: {what}: {value['difference']} is over the limit of {value['limit']}")
                failed += 1
        if not row["trusted"]:
            note(f"{name}: others used up to {row['foreign_cpus']['max']:.2f} CPUs, or results differ: "
                 "do not trust this figure")
        if arguments.json:
            print(json.dumps(row), flush=True)
        else:
            show(row)
    return 1 if failed else 0
