"""Records what OpenCV and Pillow make of pictures in other sizes."""

from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image

OUT = Path(__file__).resolve().parents[1] / "recorded" / "pictures.npz"
SIZES = {"smaller": ((61, 83), (24, 32)), "larger": ((13, 9), (24, 31)), "same": ((20, 20), (20, 20)), "tall": ((90, 7), (11, 23))}
TIES = ((640, 224), (640, 96), (100, 3), (321, 640))  # lengths whose middles lie between two pixels


def main():
    """Write the archive: <name>/x, and <name>/<method> by the library that the method follows."""
    rng = np.random.default_rng(5)
    arrays = {"versions": np.array(f"opencv {cv2.__version__}, pillow {PIL.__version__}")}
    for name, (size, (rows, columns)) in SIZES.items():
        pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        image = Image.fromarray(pixels)
        arrays |= {
            f"{name}/x": pixels,
            f"{name}/bilinear": cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR),
            f"{name}/area": cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA),
            f"{name}/antialias": np.array(image.resize((columns, rows), Image.BILINEAR)),
            f"{name}/nearest": np.array(image.resize((columns, rows), Image.NEAREST)),
            f"{name}/grey": np.array(image.convert("L")),
        }
    frame = rng.integers(0, 256, (12, 20, 2)).astype(np.uint8)
    arrays |= {"yuyv/x": frame, "yuyv/rgb": cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_YUYV)}
    for length, wanted in TIES:
        ramp = Image.fromarray(np.arange(length, dtype=np.float32)[None])
        arrays[f"ties/{length}/{wanted}"] = np.array(ramp.resize((wanted, 1), Image.NEAREST))[0].astype(np.int32)
    np.savez_compressed(OUT, **arrays)


if __name__ == "__main__":
    main()
