"""Records what ultralytics makes of coefficients and prototypes, and how pycocotools writes masks; both from PyPI."""

from pathlib import Path

import numpy as np
import pycocotools
import torch
import ultralytics
from pycocotools import mask as coco
from ultralytics.utils import nms, ops

OUT = Path(__file__).resolve().parents[1] / "recorded" / "object_masks.npz"
MASKS, CLASSES, INPUT = 8, 3, (64, 96)
# Pictures that fill the input, or leave borders that end between two cells of the map and between two of a map twice as fine.
SIZES = {"same": (64, 96), "filled": (100, 150), "beside": (120, 150), "half": (160, 230), "quarter": (90, 150), "tiny": (9, 14)}


def smooth(rng, shape):
    """Return random maps that change slowly, (n, rows, columns)."""
    coarse = torch.from_numpy(rng.normal(0, 1, (1, shape[0], 5, 6)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, shape[1:], mode="bicubic")[0]


def main():
    """Write the archive; its masks are packed bits, the highest first."""
    rng = np.random.default_rng(8)
    arrays = {"versions": np.array(f"ultralytics {ultralytics.__version__}, torch {torch.__version__}")}
    prototypes = smooth(rng, (MASKS, INPUT[0] // 4, INPUT[1] // 4))
    arrays["prototypes"] = prototypes.numpy()
    for name, (height, width) in SIZES.items():
        low = rng.uniform(-0.05, 0.5, (4, 2)) * [width, height]
        corners = np.concatenate([low, low + rng.uniform(0.1, 0.7, (4, 2)) * [width, height]], axis=1)
        corners = torch.from_numpy(np.clip(corners, 0, [width, height] * 2).astype(np.float32))
        coefficients = torch.from_numpy(rng.normal(0, 1, (4, MASKS)).astype(np.float32))
        masks = ops.process_mask_native(prototypes, coefficients, corners, (height, width))
        if name == "same":
            assert torch.equal(masks, ops.process_mask(prototypes, coefficients, corners, INPUT, upsample=True))
        arrays |= {f"{name}/corners": corners.numpy(), f"{name}/coefficients": coefficients.numpy()}
        arrays[f"{name}/masks"] = np.packbits(masks.numpy())
        arrays[f"{name}/counts"] = np.array([coco.encode(np.asfortranarray(mask))["counts"] for mask in masks.numpy()])
    arrays |= whole_way(rng, prototypes, SIZES["beside"])
    noise = {"noise": rng.random((13, 11)) < 0.5, "all": np.ones((5, 7), bool), "none": np.zeros((5, 7), bool)}
    for name, mask in noise.items():
        arrays[f"coco/{name}"] = mask
        arrays[f"coco/{name}/counts"] = np.array(coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"])
    np.savez_compressed(OUT, **arrays)
    print(arrays["versions"], pycocotools.__name__, OUT.stat().st_size, "bytes")


def whole_way(rng, prototypes, size):
    """Return outputs of a network, and the objects that ultralytics finds in a picture."""
    middles = rng.uniform(0, 1, (60, 2)) * [INPUT[1], INPUT[0]]
    sides, scores = rng.uniform(6, 50, (60, 2)), rng.uniform(0, 0.9, (60, CLASSES)) ** 3
    rows = np.concatenate([middles, sides, scores, rng.normal(0, 1, (60, MASKS))], axis=1).astype(np.float32)
    (found,) = nms.non_max_suppression(torch.from_numpy(rows.T.copy())[None], 0.3, 0.4, nc=CLASSES)
    corners = ops.scale_boxes(INPUT, found[:, :4], size)
    masks = ops.process_mask_native(prototypes, found[:, 6:], corners, size)
    return {
        "way/output0": rows.T,
        "way/boxes": torch.cat([corners, found[:, 4:6]], dim=1).numpy(),
        "way/masks": np.packbits(masks.numpy()),
    }


if __name__ == "__main__":
    main()
