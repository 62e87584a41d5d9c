"""What a new device gains in its first samples, by shift, without and with a liar among its neighbours."""

from __future__ import annotations

import numpy as np

import edgebn
from benchmarks.fleet.world import World, liar, neighbours
from edgebn.fleet.harm import SourceReplay
from edgebn.fleet.merging import merge

FIRST, LONGER = 50, 200


NEIGHBOURS = 8


def gain(place: World, repeats: int) -> dict:
    print(
        f"\nfirst {FIRST} / {LONGER} samples of a new device, errors in %: ResNet-8 int8, {NEIGHBOURS} neighbours, {repeats} starts"
    )
    names = ("none", "factory", "one neighbour", "fleet", "fleet, a liar of ten", "best")
    print(f"{'':18}" + "".join(f"{name:>22}" for name in names) + f"{'published':>12}")
    replay, rows = SourceReplay(place.model), {}
    plain = edgebn.Session(place.program)
    for domain in place.domains:
        honest = neighbours(place, domain, 9, 0)
        eight = {name: honest[name] for name in list(honest)[:NEIGHBOURS]}
        prior = merge(place.model, eight).envelope.state
        helps = not replay.refusal(place.model.state(prior, domain))
        lied = [merge(place.model, honest | {"liar": liar(place, honest, kind)}).envelope.state for kind in range(4)]
        best = place.learn(domain, np.random.default_rng(9).permutation(place.half))
        told = {name: ([], []) for name in names}
        for turn in range(repeats):
            at = place.half + np.random.default_rng((turn, 2)).choice(len(place.labels) - place.half, LONGER, replace=False)
            starts = {
                "factory": None,
                "one neighbour": eight[f"d{turn % NEIGHBOURS}"].envelope.state,
                "fleet": prior if helps else None,
            }
            starts |= {"fleet, a liar of ten": lied[turn % 4], "best": best}
            right = {"none": plain.run(place.domains[domain][at]).reshape(LONGER, -1).argmax(axis=1) == place.labels[at]}
            for name, start in starts.items():
                place.begin(start)
                right[name] = place.right(domain, at)
            for name, hit in right.items():
                told[name][0].append(100 * (1 - hit[:FIRST].mean()))
                told[name][1].append(100 * (1 - hit.mean()))
        rows[domain] = {name: tuple(float(np.mean(one)) for one in both) for name, both in told.items()}
        cells = "".join(f"{first:>13.1f} /{longer:>7.1f}" for first, longer in rows[domain].values())
        print(f"{domain:18}{cells}{'yes' if helps else 'no':>12}", flush=True)
    shifted = [row for domain, row in rows.items() if domain != "clean"]
    means = {name: tuple(float(np.mean([row[name][i] for row in shifted])) for i in (0, 1)) for name in names}
    print(f"{'mean of shifts':18}" + "".join(f"{first:>13.1f} /{longer:>7.1f}" for first, longer in means.values()))
    result = {
        "gain": means["factory"][0] - means["fleet"][0],
        "gain_200": means["factory"][1] - means["fleet"][1],
        "gain_with_liar": means["factory"][0] - means["fleet, a liar of ten"][0],
        "worst_shift": max(row["fleet"][0] - row["factory"][0] for row in shifted),
        "worst_shift_with_liar": max(row["fleet, a liar of ten"][0] - row["factory"][0] for row in shifted),
        "clean_harm": rows["clean"]["fleet"][0] - rows["clean"]["factory"][0],
        "clean_harm_with_liar": rows["clean"]["fleet, a liar of ten"][0] - rows["clean"]["factory"][0],
    }
    print(", ".join(f"{name} {value:.2f}" for name, value in result.items()), flush=True)
    return {"rows": rows, "means": means, **result}
