"""Draw a box around every person in a photo, with a YOLOv8 network that knows one class.

    python examples/person_detector.py MODEL.tflite [PHOTO ...]

MODEL: for instance OpenMV's yolov8n_192.tflite. Without a photo, pictures that scikit-image ships are looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import edgebn
from edgebn.preparation.data import Boxes, Picture
from edgebn.preparation.prepare import plain_pixels


def detector(path):
    """Load the network and say what stands before and behind it; `edgebn.save` would keep both in one file."""
    model = edgebn.load(path)
    scale, offset = plain_pixels(model.buffers[model.inputs[0]])  # its codes are pixels - 128
    image = Picture(fit="letterbox", border=114, scale=scale, offset=offset)
    return edgebn.Pipeline(edgebn.prepare(model, image=image, boxes=Boxes(("person",), shares=True, score=0.4)))


def pictures(photos):
    """Yield a name and pixels, uint8 (height, width, 3)."""
    if photos:
        from PIL import Image

        for photo in photos:
            yield photo.name, np.asarray(Image.open(photo).convert("RGB"))
    else:
        from skimage import data

        for name in ("astronaut", "coffee"):
            yield name, getattr(data, name)()


def main(arguments=None):
    """Print a line for each person."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", nargs="*", type=Path)
    given = parser.parse_args(arguments)
    find = detector(given.model)
    for name, pixels in pictures(given.photos):
        people = find(pixels)
        print(f"{name}: {len(people) or 'no'} person{'s' if len(people) != 1 else ''}")
        for person in people:
            corners = (person.left, person.top, person.right, person.bottom)
            print(f"  {person.score:.2f} from {corners[0]:.0f}, {corners[1]:.0f} to {corners[2]:.0f}, {corners[3]:.0f}")


if __name__ == "__main__":
    main()
