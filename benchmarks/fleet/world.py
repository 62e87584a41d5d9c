"""A model, the same labelled images under many shifts, and simulated devices that have been somewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.adapt.shifts import UNTUNED_IMAGE_SHIFTS
from edgebn.adapt.streams import arrange
from edgebn.fleet.envelope import Envelope
from edgebn.fleet.model import FleetModel, Known

TUNED = ("gaussian_noise", "defocus_blur", "contrast", "brightness", "fog", "pixelate")


def darker(images):
    """Dusk: a quarter of the light, bluish."""
    return np.clip(np.rint(images * np.array([0.22, 0.25, 0.32])), 0, 255).astype(np.uint8)


def low_resolution_rain(images):
    """Streaks of rain over a soft picture."""
    drops = np.random.default_rng(5).random(images.shape[:3]) < 0.06
    streaks = np.maximum.reduce([np.roll(drops, shift, axis=1) for shift in range(4)])
    soft = sum(np.roll(images.astype(np.float32), shift, axis=2) for shift in (-1, 0, 1)) / 3
    return np.clip(np.where(streaks[..., None], 0.55 * soft + 100, soft), 0, 255).astype(np.uint8)


def warm_light(images):
    """A tungsten lamp: red up, blue down."""
    return np.clip(np.rint(images * np.array([1.25, 0.85, 0.45])), 0, 255).astype(np.uint8)


def haze(images):
    """A dirty lens: less contrast, lifted blacks."""
    return np.clip(np.rint(images * 0.45 + 110), 0, 255).astype(np.uint8)


def speckle(images):
    """Multiplicative noise of a high gain."""
    noise = np.random.default_rng(6).standard_normal(images.shape)
    return np.clip(np.rint(images * (1 + 0.35 * noise)), 0, 255).astype(np.uint8)


OWN = {"dusk": darker, "rain": low_resolution_rain, "tungsten": warm_light, "dirty lens": haze, "speckle": speckle}


@dataclass
class World:
    """A model, and the same labelled images in every shift; the first half is the fleet's, the second the new devices'."""

    program: edgebn.Program
    model: FleetModel
    adapter: edgebn.Adapter
    domains: dict[str, np.ndarray]
    labels: np.ndarray
    half: int

    def learn(self, domain: str, at: np.ndarray, start: bytes | None = None) -> bytes:
        self.begin(start)
        self.adapter.run(self.domains[domain][at])
        return self.model.to_bytes(self.adapter.state)

    def begin(self, start: bytes | None) -> None:
        self.adapter.reset()
        if start is not None:
            self.adapter.take_bytes(start, "a start")

    def right(self, domain: str, at: np.ndarray) -> np.ndarray:
        y = self.adapter.run(self.domains[domain][at])
        return y.reshape(len(at), -1).argmax(axis=1) == self.labels[at]

    def known(self, state: bytes, count: int = 1) -> Known:
        numbers = self.model.numbers(self.model.state(state, "a device"))
        return self.model.known(Envelope(count, count, 300, 300, 0, numbers, state), "a device")


def world(folder: Path) -> World:
    with np.load(folder / "data" / "cifar10_dev.npz") as data:
        source, clean, labels = data["x_train"], data["x_test"], data["y_test"].reshape(-1).astype(np.int64)
        domains = {"clean": clean} | {name: data[f"x_test_{name}"] for name in TUNED}
    domains |= {name: shift(clean) for name, shift in (UNTUNED_IMAGE_SHIFTS | OWN).items()}
    typical = source.astype(np.float32)
    program = edgebn.adaptable(edgebn.quantize(edgebn.load(folder / "models" / "resnet8_jpeg.h5"), typical[:1000]), typical)
    real = {name: images.astype(np.float32) for name, images in domains.items()}
    return World(program, FleetModel(program), edgebn.Adapter(edgebn.Session(program)), real, labels, len(labels) // 2)


def neighbours(place: World, domain: str, count: int, seed: int) -> dict[str, Known]:
    """Return devices that have been somewhere for 100 to 400 samples, every other one in bursts of classes."""
    found = {}
    for device in range(count):
        rng = np.random.default_rng((seed, device, 1))
        at = rng.choice(place.half, rng.integers(100, 400), replace=False)
        if device % 2:
            at = at[arrange(place.labels[at], "dirichlet", device)]
        found[f"d{device}"] = place.known(place.learn(domain, at), 1000 + device)
    return found


def liar(place: World, honest: dict[str, Known], kind: int) -> Known:
    """Return a lie: the opposite, another place's state, half as much again, or the edge of what is believed."""
    values = np.stack([one.state.values for one in honest.values()])
    middle, spread = np.median(values, axis=0), values.std(axis=0)
    told = (-middle, 0 * middle, 1.5 * middle, middle + 3 * spread)[kind % 4]
    state = honest["d0"].state.copy()
    state.values[:] = told
    return place.known(place.model.to_bytes(state), 5000)
