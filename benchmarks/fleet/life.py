"""Devices that arrive, move, fail and lie: error over time against no fleet and against the best prior."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.fleet.gain import FIRST
from benchmarks.fleet.world import World
from edgebn.fleet.merging import merge


@dataclass
class Resident:
    """A simulated device."""

    name: str
    domain: str
    state: bytes | None = None
    age: int = 0
    lies: bool = False
    errors: list[float] = field(default_factory=list)


def life(place: World, rounds: int, seed: int = 0) -> dict:
    """Rooms with shifts; devices arrive, move to other rooms, fail (and begin anew), and one in ten lies."""
    rooms = ("fog", "contrast", "motion blur", "jpeg", "dusk", "clean")
    outcome = {}
    for kind in ("no fleet", "fleet", "best"):
        rng = np.random.default_rng(seed)
        best = (
            {room: place.learn(room, np.random.default_rng(9).permutation(place.half)) for room in rooms} if kind == "best" else {}
        )
        residents: list[Resident] = []
        by_round, young, number, left = [], [], 0, 0
        for turn in range(rounds):
            for room in rooms:
                if len([one for one in residents if one.domain == room]) < 10:
                    residents.append(Resident(f"d{number:04}", room, lies=number % 10 == 7))
                    number += 1
            for one in residents:
                event = rng.random()
                if event < 0.02:
                    one.domain = rooms[rng.integers(len(rooms))]  # moved, with what it knows
                elif event < 0.06:
                    one.state, one.age = None, 0  # failed, and was replaced
            priors = {}
            for room in rooms if kind == "fleet" else ():
                known = {}
                for one in residents:
                    if one.domain == room and one.state is not None:
                        state = place.model.state(one.state, one.name)
                        if one.lies:
                            state.values[:] = -state.values
                        known[one.name] = place.known(place.model.to_bytes(state))
                merged = merge(place.model, known)
                left += sum(not any(one.name == name and one.lies for one in residents) for name in merged.left_out)
                priors[room] = merged.envelope.state if merged.envelope else None
            for one in residents:
                at = place.half + rng.choice(len(place.labels) - place.half, FIRST, replace=False)
                start = one.state if one.state is not None else priors.get(one.domain, best.get(one.domain))
                place.begin(start)
                error = 100 * (1 - place.right(one.domain, at).mean())
                one.state, one.age = place.model.to_bytes(place.adapter.state), one.age + 1
                by_round.append((turn, error))
                if one.age == 1:
                    young.append(error)
        quarter = max(1, rounds // 4)
        errors = [float(np.mean([error for turn, error in by_round if turn // quarter == part])) for part in range(4)]
        outcome[kind] = {"errors": errors, "young": float(np.mean(young)), "starts": len(young), "honest_left_out": left}
        print(
            f"{kind:10} errors by quarter {' '.join(f'{error:.1f}' for error in errors)}; "
            f"first {FIRST} samples {np.mean(young):.1f}"
        )
    return outcome
