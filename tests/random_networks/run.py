"""Draws networks, holds each against onnxruntime, and prints what came of them: faults by seed, refusals by reason.

python tests/random_networks/run.py --networks 5000 --seed 0 --kind float
python tests/random_networks/run.py --networks 5000 --seed 0 --kind quantized
python tests/random_networks/run.py --networks 5000 --seed 0 --kind stateful
python tests/random_networks/run.py --networks 5000 --seed 0 --kind int16
python tests/random_networks/run.py --networks 1 --seed 4711 --kind quantized --shrink

`--seed` is the first network's; `--shrink` prints the smallest network that fails in the same way.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.random_networks.checking import Outcome, check_float, check_quantized
from tests.random_networks.networks import Network, draw
from tests.random_networks.quantizing import draw_settings
from tests.random_networks.shrinking import listing, shrink

KINDS = ("float", "quantized", "stateful", "int16")
# What makes two refusals of one reason different: names, shapes, numbers.
OWN = re.compile(r"'[^']*'|\[[^\]]*\]|\((?:[\d, ()-]*)\)|-?\d+(?:\.\d+)?")


@dataclass
class Tally:
    """What came of many networks.

    Attributes
    ----------
    verdicts : Counter
        How many networks had each verdict.
    refusals : Counter
        How many were refused for each reason.
    untold : Counter
        The same of what onnxruntime itself does not run or quantise.
    faults : list of (seed, Outcome)
    """

    verdicts: Counter = field(default_factory=Counter)
    refusals: Counter = field(default_factory=Counter)
    untold: Counter = field(default_factory=Counter)
    faults: list[tuple[int, Outcome]] = field(default_factory=list)

    @property
    def told(self) -> int:
        """How many networks onnxruntime runs."""
        return sum(self.verdicts.values()) - self.verdicts["untold"]

    @property
    def refused_share(self) -> float:
        """The share of them that edgebn refuses."""
        return self.verdicts["refused"] / max(self.told, 1)

    def lines(self) -> list[str]:
        """Return the table for people."""
        counts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.most_common())
        share = f"{100 * self.refused_share:.1f} % of what onnxruntime runs is refused"
        lines = [f"{sum(self.verdicts.values())} networks: {counts}; {share}"]
        for title, table in (("refused by edgebn", self.refusals), ("not run or not quantised by onnxruntime", self.untold)):
            if table:
                lines += [f"{title}:", *(f"{count:6}  {reason}" for reason, count in table.most_common())]
        return lines


def reason_of(message: str) -> str:
    """Return a message without what only one network has: the same words for the same reason."""
    words = message.removeprefix("a random network: ")
    return OWN.sub("#", words)[:160]


def checker(kind: str, seed: int) -> Callable[[Network], Outcome]:
    """Return the check of network `seed` of a kind."""
    if kind in ("float", "stateful"):
        return check_float
    settings = draw_settings(seed, kind)
    return lambda network: check_quantized(network, settings)


def examine(kind: str, seeds: range, report: Callable[[int, Outcome], None] = lambda _seed, _outcome: None) -> Tally:
    """Draw and check the networks of these seeds; `report` hears of every fault at once."""
    tally = Tally()
    for seed in seeds:
        outcome = checker(kind, seed)(draw(seed, kind))
        tally.verdicts[outcome.verdict] += 1
        if outcome.verdict == "refused":
            tally.refusals[reason_of(outcome.reason)] += 1
        elif outcome.verdict == "untold":
            tally.untold[reason_of(outcome.reason)[:80]] += 1
        elif outcome.fault:
            tally.faults.append((seed, outcome))
            report(seed, outcome)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, default="float")
    parser.add_argument("--shrink", action="store_true")
    given = parser.parse_args()

    def report(seed: int, outcome: Outcome) -> None:
        settings = "" if given.kind in ("float", "stateful") else f" [{draw_settings(seed, given.kind)}]"
        print(f"seed {seed} {outcome.verdict}: {outcome.reason}{settings}", flush=True)
        if given.shrink:
            smallest = shrink(draw(seed, given.kind), checker(given.kind, seed))
            print(f"{listing(smallest)}\n  {checker(given.kind, seed)(smallest).reason}\n", flush=True)

    tally = examine(given.kind, range(given.seed, given.seed + given.networks), report)
    print("\n".join(tally.lines()))
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
