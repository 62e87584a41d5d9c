"""Let a classifier adapt when the light goes: the network that edgebn ships, 1,000 pictures of clothes, the lamp dimmed.

    python examples/adapting_to_light.py [--light 0.35]

No label is used to adapt; they are only counted with. What was learned is kept as a few kilobytes, and taken back at will.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import edgebn

DATA = Path(edgebn.__file__).parent / "demo_data"


def errors(outputs, labels):
    """Return the share of wrong answers, in per cent."""
    return 100 * float((outputs.argmax(axis=1) != labels).mean())


def main(arguments=None):
    """Print errors by day, when the light is gone, while adapting and afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--light", type=float, default=0.35, help="share of the light that is left")
    light = parser.parse_args(arguments).light
    with np.load(DATA / "fashion_mnist_slice.npz") as arrays:
        images, labels = arrays["images"] / np.float32(255), arrays["labels"]
    home, images, labels = images[:400], images[400:], labels[400:]

    model = edgebn.quantize(edgebn.load(DATA / "fashion_mnist.keras"), home)
    session = edgebn.Session(edgebn.adaptable(model, home))  # once, at home: what is normal there
    dark = images * np.float32(light)
    print(f"errors by day                  {errors(session.run(images), labels):.1f} %")
    print(f"when {light:.0%} of the light is left  {errors(session.run(dark), labels):.1f} %")

    adapter = edgebn.Adapter(session)
    print(f"the same, while it adapts      {errors(adapter.run(dark), labels):.1f} %")
    adapter.freeze()
    print(f"the same again, adapted        {errors(adapter.run(dark), labels):.1f} %")
    adapter.reset()
    print(f"by day, after a reset          {errors(adapter.run(images), labels):.1f} %")


if __name__ == "__main__":
    main()
