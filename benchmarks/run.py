"""Everything that is timed, in one command: inferences beside the peers', the share of the peak by layer, and starts.

    python -m benchmarks.run [--rounds 20] [--output benchmarks/results]

Prints tables, and writes bench.json and bench.png into the output folder.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import edgebn
from benchmarks import chart, inference, larger
from benchmarks.models.architectures import NETWORKS
from benchmarks.models.networks import INT8, INT8_FILE, Case, cases
from benchmarks.peers.engines import versions
from benchmarks.session import layers, startup
from edgebn.kernels import isa

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, object]:
    """Return what the figures were measured on and with."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo().splitlines() if line.startswith("model name")]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cpu": names[0] if names else platform.machine(),
        "instruction_set": isa.SELECTED.name,
        "python": platform.python_version(),
        "edgebn": edgebn.__version__,
        **versions(),
    }


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="ascii", errors="replace") if path.exists() else ""


def run(wanted: Iterable[Case], rounds: int, starts: int, output: Path, networks: Iterable[str] = ()) -> dict[str, object]:
    """Measure `wanted` and the larger `networks`, and write the files; `starts` is how often each process is started."""
    wanted = list(wanted)
    about = machine()
    print(", ".join(f"{name} {value or '-'}" for name, value in about.items()))
    first = next(case for case in wanted if case.form in {INT8_FILE, INT8})
    begun = startup.measure(first, starts) if starts else {}
    print()
    times = inference.measure(wanted, rounds)
    print()
    races = list(larger.measure(list(networks), [1, 2], rounds)) if networks else []
    shares = {}
    for case in wanted:
        print()
        steps, most = layers.step_times(case.program, max(2, rounds))
        layers.report(case.name, steps, most)
        shares[case.name] = {"peak_gmacs": most, "steps": [vars(step) for step in steps]}
    results = {
        "machine": about,
        "inference_us": {name: {engine: vars(found) for engine, found in row.items()} for name, row in times.items()},
        "larger": larger.as_json(races),
        "layers": shares,
        "startup": {"network": first.name, **{name: vars(start) for name, start in begun.items()}},
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / "bench.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {output / 'bench.json'}")
    if find_spec("matplotlib"):
        chart.draw(times, f"{about['cpu']}, {about['instruction_set']}, {about['date']}", output / "bench.png")
        print(f"written: {output / 'bench.png'}")
    else:
        print("no chart: matplotlib is not installed (pip install matplotlib)")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="turns of each engine, 50 inferences each")
    parser.add_argument("--starts", type=int, default=10, help="processes started of each engine")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    run(cases(), options.rounds, options.starts, options.output, NETWORKS)


if __name__ == "__main__":
    main()
