"""Weights rounded for the least error in a layer's output rather than in the weights. Knows arrays only.

For an error e in one output's weights, the output's variance rises by e H e, with H the covariance of what they multiply. Rounding
to nearest ignores H. Here weights are rounded one after the other, all outputs at once, and those still to come take up what each
rounding lost (Frantar et al. 2023, GPTQ); then coordinate descent on the quadratic form lets every weight answer to all others,
those before it included (Behdin et al. 2023, QuantEase). Weights stay int8 and unfolded; nothing is random.
"""

from __future__ import annotations

import numpy as np

from edgebn.passes.patch_moments import PatchMoments

SWEEPS = 4  # of the descent behind the first rounding
DAMPING = 0.01  # of the mean variance, added to every variance: keeps directions never seen in the data from being used freely


def round_weights(weight: np.ndarray, codes: np.ndarray, scale: np.ndarray, moments: PatchMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return better codes and scales than the nearest ones given.

    Parameters
    ----------
    weight, codes : ndarray, shape (O, kh, kw, I / groups)
        Float and nearest int8; a group whose inputs never vary, or too little to tell how, keeps its codes.
    scale : ndarray of float64, shape (O,)
        Of the codes; it is refined.
    moments : PatchMoments

    Returns
    -------
    codes : ndarray of int8, scale : ndarray of float64
    """
    groups, outputs = len(moments.mean), len(weight)
    rows = weight.reshape(groups, outputs // groups, -1).astype(np.float64)
    nearest = codes.reshape(rows.shape).astype(np.float64)
    scales = scale.reshape(groups, -1)
    found = [_round_group(*group) for group in zip(rows, nearest, scales, moments.covariance, strict=True)]
    better = np.concatenate([group[0] for group in found]).astype(np.int8).reshape(weight.shape)
    return better, np.concatenate([group[1] for group in found])


def lost_mean(weight: np.ndarray, codes: np.ndarray, scale: np.ndarray, moments: PatchMoments) -> np.ndarray:
    """Return what quantising the weights takes from each output's mean (O,): added to the bias, it makes the mean right again."""
    groups = len(moments.mean)
    error = (weight.astype(np.float64) - codes * scale[:, None, None, None]).reshape(groups, len(weight) // groups, -1)
    return (error @ moments.mean[:, :, None]).reshape(-1)


def _round_group(rows: np.ndarray, nearest: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes (O, K) and scales (O,) of one group."""
    variance = np.diag(covariance)
    if variance.max() <= 0.0:
        return nearest, scale
    hessian = covariance + np.eye(len(covariance)) * DAMPING * variance.mean()
    order = np.argsort(-np.diag(hessian), kind="stable")  # what costs most is rounded first, while all others can make up for it
    try:
        codes = _in_turn(rows, scale, hessian, order)
    except np.linalg.LinAlgError:  # inputs far from zero that hardly vary: float64 cannot tell their covariance
        return nearest, scale
    for _ in range(SWEEPS):
        scale = _refit(rows, codes, scale, hessian)
        codes = _sweep(rows, codes, scale, hessian, order)
    return codes, scale


def _in_turn(rows: np.ndarray, scale: np.ndarray, hessian: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Round the weights in `order`; the optimal change of those that follow is a row of the inverse's Cholesky factor."""
    factor = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T  # upper triangular
    target = rows[:, order]
    codes = np.zeros_like(rows)
    for place, k in enumerate(order):
        codes[:, k] = np.clip(np.rint(target[:, place] / scale), -127, 127)
        lost = (target[:, place] - codes[:, k] * scale) / factor[place, place]
        target[:, place + 1 :] -= lost[:, None] * factor[place, place + 1 :]
    return codes


def _sweep(rows: np.ndarray, codes: np.ndarray, scale: np.ndarray, hessian: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Give each weight in turn the code that is best while all others stand, starting from `codes`."""
    codes, curvature = codes.copy(), np.diag(hessian)
    pull = (rows - codes * scale[:, None]) @ hessian
    for k in order:
        new = np.clip(np.rint(codes[:, k] + pull[:, k] / (curvature[k] * scale)), -127, 127)
        step = new - codes[:, k]
        if step.any():
            pull -= (step * scale)[:, None] * hessian[k]
            codes[:, k] = new
    return codes


def _refit(rows: np.ndarray, codes: np.ndarray, scale: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """Return the scales that suit the codes best; an output without weights keeps its own."""
    seen = codes @ hessian
    size = (seen * codes).sum(axis=1)
    fitted = (seen * rows).sum(axis=1) / np.where(size > 0, size, 1.0)
    return np.where((size > 0) & (fitted > 0), fitted, scale)
