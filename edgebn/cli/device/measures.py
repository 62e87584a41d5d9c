"""How far answers are from a reference's: the measures of ST's model validation. Arrays alone, nothing of devices."""

from __future__ import annotations

import numpy as np

TEXT = {
    "rmse": "RMSE",
    "mae": "MAE",
    "l2r": "L2 relative error",
    "nse": "NSE",
    "cosine": "cosine",
}


def measures(found: np.ndarray, reference: np.ndarray) -> dict[str, float | None]:
    """Compare answers, element by element over all samples, in float64.

    Parameters
    ----------
    found, reference : ndarray, shape (N, ...)
        Real numbers.

    Returns
    -------
    dict of str to float
        rmse and mae; l2r, |found - reference| / |reference|; nse, the Nash-Sutcliffe efficiency
        1 - sum (found - reference)^2 / sum (reference - mean)^2; cosine, of the angle between the two as vectors. None where
        a measure has no value: a reference that is zero or constant, or anything that is not finite.
    """
    f, r = (np.asarray(values, np.float64).reshape(-1) for values in (found, reference))
    if not (np.isfinite(f).all() and np.isfinite(r).all()):
        return dict.fromkeys(TEXT)
    off = f - r
    squares, size = float(off @ off), float(np.sqrt(r @ r))
    spread = float(((r - r.mean()) ** 2).sum())
    both = size * float(np.sqrt(f @ f))
    return {
        "rmse": float(np.sqrt(squares / f.size)),
        "mae": float(np.abs(off).mean()),
        "l2r": float(np.sqrt(squares)) / size if size else None,
        "nse": 1.0 - squares / spread if spread else None,
        "cosine": float(f @ r) / both if both else None,
    }
