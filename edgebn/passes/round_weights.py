"""Weights rounded for the least error in a layer's output rather than in the weights. Knows arrays only.

For an error e in one output's weights, the output's variance rises by e H e, with H the covariance of what they multiply. Rounding
to nearest ignores H. Coordinate descent on that quadratic form, one weight at a time for all outputs at once, lets the
rounding of one weight make up for that of others (the objective of Frantar et al. 2023, GPTQ, and Nagel et al. 2020, AdaRound;
the descent as in Behdin et al. 2023, QuantEase). Weights stay int8 and unfolded; nothing is random.
"""

from __future__ import annotations

import numpy as np

from edgebn.passes.patch_moments import PatchMoments

SWEEPS = 4
DAMPING = 0.01  # of the mean variance, added to every variance: keeps directions never seen in the data from being used freely


def round_weights(weight: np.ndarray, codes: np.ndarray, scale: np.ndarray, moments: PatchMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return better codes and scales than the nearest ones given.

    Parameters
    ----------
    weight, codes : ndarray, shape (O, kh, kw, I / groups)
        Float and int8; the codes are where the descent starts.
    scale : ndarray of float64, shape (O,)
    moments : PatchMoments

    Returns
    -------
    codes : ndarray of int8, scale : ndarray of float64
    """
    groups, outputs = len(moments.mean), len(weight)
    rows = weight.reshape(groups, outputs // groups, -1).astype(np.float64)
    start = codes.reshape(rows.shape).astype(np.float64)
    scales = scale.reshape(groups, -1)
    found = [_descend(*group) for group in zip(rows, start, scales, moments.covariance, strict=True)]
    better = np.concatenate([group[0] for group in found]).astype(np.int8).reshape(weight.shape)
    return better, np.concatenate([group[1] for group in found])


def lost_mean(weight: np.ndarray, codes: np.ndarray, scale: np.ndarray, moments: PatchMoments) -> np.ndarray:
    """Return what quantising the weights takes from each output's mean (O,): added to the bias, it makes the mean right again."""
    groups = len(moments.mean)
    error = (weight.astype(np.float64) - codes * scale[:, None, None, None]).reshape(groups, len(weight) // groups, -1)
    return (error @ moments.mean[:, :, None]).reshape(-1)


def _descend(rows: np.ndarray, start: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the quadratic form over the codes of one group, (O, K), and refit each output's scale between sweeps."""
    variance = np.diag(covariance)
    if variance.max() <= 0.0:
        return start, scale
    hessian = covariance + np.eye(len(covariance)) * DAMPING * variance.mean()
    curvature = np.diag(hessian)
    order = np.argsort(-curvature, kind="stable")
    codes = start.copy()
    for sweep in range(SWEEPS):
        if sweep > 0:
            scale = _refit(rows, codes, scale, hessian)
        pull = (rows - codes * scale[:, None]) @ hessian
        for k in order:
            new = np.clip(np.rint(codes[:, k] + pull[:, k] / (curvature[k] * scale)), -127, 127)
            step = new - codes[:, k]
            if step.any():
                pull -= (step * scale)[:, None] * hessian[k]
                codes[:, k] = new
    return codes, scale


def _refit(rows: np.ndarray, codes: np.ndarray, scale: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """Return the scales that suit the codes best; an output without weights keeps its own."""
    seen = codes @ hessian
    size = (seen * codes).sum(axis=1)
    fitted = (seen * rows).sum(axis=1) / np.where(size > 0, size, 1.0)
    return np.where((size > 0) & (fitted > 0), fitted, scale)
