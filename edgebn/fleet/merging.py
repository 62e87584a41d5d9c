"""From the newest state of each device of a group to one prior: robust, and the same to the byte whatever order they came in.

Everything is a function of the set of states: devices are taken in the order of their names, and every sum has a fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgebn.adapt.policies.compensated import Compensated, CompensatedTracking
from edgebn.adapt.policy import State
from edgebn.fleet.envelope import Envelope
from edgebn.fleet.model import FleetModel, Known

MIN_DEVICES = 3  # of two, nothing says which one lies
MIN_SAMPLES = 48.0  # since the last change, that a state must have learned from: an average of fewer is mostly noise
REACH = 8.0  # how far from the median a number counts as it stands, in spreads: wild ones alone are held back
MIN_SPREAD, NOISE_LEFT = 0.02, 0.03  # devices that agree scatter by this, and by what an average leaves of a sample's noise
MAD_TO_SIGMA = 1.4826  # of a normal distribution
SOURCE_WEIGHT = 0.5  # the source statistics count as half a device
PRIOR_COUNT = np.float32(64)  # samples that a prior counts as: few enough to leave it soon, enough to open the gate
MIN_PART, FARTHER = 0.04, 16.0  # out of the group: farther from its middle than this, and than so many times the devices' median


@dataclass(frozen=True)
class Merged:
    """What came of a group.

    Attributes
    ----------
    envelope : Envelope or None
        The prior; None where too few devices agree.
    used : tuple of str
        The devices that it was made of.
    left_out : dict of str to str
        Of the others, why.
    """

    envelope: Envelope | None
    used: tuple[str, ...]
    left_out: dict[str, str]


def merge(model: FleetModel, states: Mapping[str, Known], *, max_age: float | None = None, least: int = MIN_DEVICES) -> Merged:
    """Merge the newest states of a group's devices.

    Parameters
    ----------
    model : FleetModel
    states : mapping of device name to Known
    max_age : float, optional
        Seconds: states older than this, counted back from the median of all, are left out.
    least : int
        How many devices must agree.
    """
    left_out: dict[str, str] = {}
    names = sorted(states)
    if max_age is not None and names:
        middle = sorted(states[name].envelope.time for name in names)[len(names) // 2]
        for name in names:
            if states[name].envelope.time < middle - 1000.0 * max_age:
                left_out[name] = f"its state is more than {max_age:g} seconds older than the group's"
    for name in names:
        if name not in left_out and samples(model, states[name].state) < MIN_SAMPLES:
            left_out[name] = f"it has learned from fewer than {MIN_SAMPLES:g} samples since its last change"
    rest = [name for name in names if name not in left_out]
    apart = outliers(model, [states[name] for name in rest])
    left_out |= {
        name: f"its drift is {distance:.2f} away from its group's" for name, distance in zip(rest, apart, strict=True) if distance
    }
    used = tuple(name for name in rest if name not in left_out)
    if len(used) < least:
        return Merged(None, used, left_out)
    return Merged(_prior(model, [states[name] for name in used]), used, left_out)


def samples(model: FleetModel, state: State) -> float:
    """Return how many samples an average was made of; policies that do not count are taken at their word."""
    return float(state.scalars[0]) if isinstance(model.policy, Compensated) else MIN_SAMPLES


def outliers(model: FleetModel, known: list[Known]) -> list[float]:
    """Return for each state its distance from the group's middle where that is too far, else 0."""
    if len(known) < MIN_DEVICES:
        return [0.0] * len(known)
    drift, ratio = middle(known)
    far = [model.distance(one.drift, one.ratio, drift, ratio) for one in known]
    bound = max(MIN_PART, FARTHER * float(np.median(far)))
    return [distance if distance > bound else 0.0 for distance in far]


def middle(known: list[Known]) -> tuple[np.ndarray, np.ndarray]:
    """Return the medians of drift and ratio, channel by channel, float32."""
    drift, ratio = (np.median(np.stack([getattr(one, name) for one in known]), axis=0) for name in ("drift", "ratio"))
    return drift.astype(np.float32), ratio.astype(np.float32)


def _prior(model: FleetModel, used: list[Known]) -> Envelope:
    slow = model.policy.planes if not isinstance(model.policy, CompensatedTracking) else 2
    values = np.stack([one.state.values[:slow] for one in used])  # (devices, planes, channels)
    noise = model.statistics.per_channel(model.statistics.noise).astype(np.float64)
    planes = robust_mean(values, np.sqrt(MIN_SPREAD**2 + NOISE_LEFT * noise)).astype(np.float32)
    if isinstance(model.policy, CompensatedTracking):
        planes = np.concatenate([planes, planes])  # the fast averages beside the slow ones: nothing has changed yet
    scalars = np.full(model.policy.scalars, PRIOR_COUNT, np.float32)
    state = State(planes, scalars)
    number = len(used) // 2
    count, time = (sorted(getattr(one.envelope, name) for one in used)[number] for name in ("count", "time"))
    seen = sorted(one.envelope.seen for one in used)[number]
    return Envelope(count, time, seen, len(used), 0, model.numbers(state), model.to_bytes(state))


def robust_mean(values: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of values that are held near their median, float64.

    Values farther than eight spreads from the median are moved to that bound, and the factory's zeros count as half a device. A
    spread is the median distance from the median, as a standard deviation, and at least `least`. Trimming by rank would give each
    value that stays 1 / (n - 2 g) of the mean, more than a tenth where one of ten lies a little; here it is 1 / (n + 0.5).
    """
    wide = values.astype(np.float64)
    centre = np.median(wide, axis=0)
    spread = np.maximum(MAD_TO_SIGMA * np.median(np.abs(wide - centre), axis=0), least)
    held = np.minimum(np.maximum(wide, centre - REACH * spread), centre + REACH * spread)
    total = np.zeros_like(centre)
    for one in held:  # in the order of the devices' names
        total += one
    return total / (len(wide) + SOURCE_WEIGHT)
