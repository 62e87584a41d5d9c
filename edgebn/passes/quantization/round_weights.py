"""Weights rounded for the least error in a layer's output rather than in the weights. Knows arrays only.

For an error e in one output's weights, the output's variance rises by e H e, with H the covariance of what they multiply. Rounding
to nearest ignores H. Here weights are rounded one after the other, all outputs at once, and those still to come take up what each
rounding lost (Frantar et al. 2023, GPTQ); then coordinate descent on the quadratic form lets every weight answer to all others,
those before it included (Behdin et al. 2023, QuantEase). Weights stay int8 and unfolded; nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgebn.passes.quantization.patch_moments import PatchMoments

SWEEPS = 4  # of the descent behind the first rounding
DAMPING = 0.01  # of the mean variance, added to every variance: keeps directions never seen in the data from being used freely
BLOCK = 64  # weights of an output that are rounded before those behind them hear of it, in one matrix product


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
    rows = weight.reshape(groups, outputs // groups, -1).astype(np.float64).transpose(0, 2, 1)  # (groups, K, outputs)
    variance = np.diagonal(moments.covariance, axis1=1, axis2=2)  # (groups, K)
    order = np.argsort(-variance, axis=1, kind="stable")  # what costs most is rounded first, while all others can make up for it
    factor, usable = _factors(moments.covariance, variance, order)
    if not usable.any():
        return codes, scale
    order, rows = order[usable], rows[usable]
    found = _Rounding(np.take_along_axis(rows, order[:, :, None], 1), scale.reshape(groups, -1)[usable])
    found.in_turn(factor)
    del factor
    hessian = _ordered(moments.covariance[usable], variance[usable], order)
    target = hessian @ found.rows
    for _ in range(SWEEPS):
        seen = found.refit(hessian)
        found.sweep(hessian, target - seen * found.scale[:, None, :])
    better = codes.reshape(groups, outputs // groups, -1).copy()
    back = np.argsort(order, axis=1)[:, :, None]
    better[usable] = np.take_along_axis(found.codes, back, 1).transpose(0, 2, 1)
    scales = scale.reshape(groups, -1).copy()
    scales[usable] = found.scale
    return better.reshape(weight.shape), scales.reshape(-1)


def lost_mean(weight: np.ndarray, codes: np.ndarray, scale: np.ndarray, moments: PatchMoments) -> np.ndarray:
    """Return what quantising the weights takes from each output's mean (O,): added to the bias, it makes the mean right again."""
    groups = len(moments.mean)
    error = (weight.astype(np.float64) - codes * scale[:, None, None, None]).reshape(groups, len(weight) // groups, -1)
    return (error @ moments.mean[:, :, None]).reshape(-1)


def _ordered(covariance: np.ndarray, variance: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the damped covariance (groups, K, K) with its rows and columns in `order`."""
    found = np.take_along_axis(np.take_along_axis(covariance, order[:, :, None], 1), order[:, None, :], 2)
    places = np.arange(order.shape[1])
    found[:, places, places] += DAMPING * variance.mean(axis=1, keepdims=True)
    return found


def _factors(covariance: np.ndarray, variance: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper Cholesky factors of the inverses, of the groups that have one, and which those are.

    A group whose inputs never vary has none; nor has one of inputs far from zero that hardly vary, whose covariance float64 cannot
    tell.
    """
    usable = variance.max(axis=1) > 0.0
    hessian = _ordered(covariance[usable], variance[usable], order[usable])
    try:
        return _factor(hessian), usable
    except np.linalg.LinAlgError:  # which of them?
        found = []
        for place, group in zip(np.flatnonzero(usable), hessian, strict=True):
            try:
                found.append(_factor(group))
            except np.linalg.LinAlgError:
                usable[place] = False
        return np.array(found), usable


def _factor(hessian: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(np.linalg.inv(hessian)).swapaxes(-1, -2)


class _Rounding:
    """The weights of all groups while they are rounded; the weights of one output are in the order in which that is done.

    Attributes
    ----------
    rows, codes : ndarray of float64, shape (groups, K, outputs)
    scale : ndarray of float64, shape (groups, outputs)
    """

    def __init__(self, rows: np.ndarray, scale: np.ndarray) -> None:
        self.rows, self.scale = rows, scale
        self.codes = np.zeros_like(rows)

    def in_turn(self, factor: np.ndarray) -> None:
        """Round every weight once; the optimal change of those that follow is a row of the inverse's Cholesky factor."""
        target = self.rows.copy()
        for start, end in self._blocks():
            lost = np.empty((len(target), end - start, target.shape[2]))
            for k in range(start, end):
                self.codes[:, k] = _nearest(target[:, k] / self.scale)
                lost[:, k - start] = (target[:, k] - self.codes[:, k] * self.scale) / factor[:, k, k, None]
                target[:, k + 1 : end] -= factor[:, k, k + 1 : end, None] * lost[:, k - start, None, :]
            target[:, end:] -= factor[:, start:end, end:].swapaxes(1, 2) @ lost

    def sweep(self, hessian: np.ndarray, pull: np.ndarray) -> None:
        """Give each weight in turn the code that is best while all others stand.

        Parameters
        ----------
        hessian : ndarray, shape (groups, K, K)
        pull : ndarray, shape (groups, K, outputs)
            `hessian` times what rounding takes from the weights now; used up.
        """
        for start, end in self._blocks():
            change = np.empty((len(pull), end - start, pull.shape[2]))
            for k in range(start, end):
                new = _nearest(self.codes[:, k] + pull[:, k] / (hessian[:, k, k, None] * self.scale))
                change[:, k - start] = (new - self.codes[:, k]) * self.scale
                self.codes[:, k] = new
                pull[:, k + 1 : end] -= hessian[:, k, k + 1 : end, None] * change[:, k - start, None, :]
            pull[:, end:] -= hessian[:, end:, start:end] @ change

    def refit(self, hessian: np.ndarray) -> np.ndarray:
        """Make the scales those that suit the codes best (an output without weights keeps its own); return hessian times codes."""
        seen = hessian @ self.codes
        size = (seen * self.codes).sum(axis=1)
        fitted = (seen * self.rows).sum(axis=1) / np.where(size > 0, size, 1.0)
        self.scale = np.where((size > 0) & (fitted > 0), fitted, self.scale)
        return seen

    def _blocks(self) -> Iterator[tuple[int, int]]:
        count = self.rows.shape[1]
        return ((start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def _nearest(numbers: np.ndarray) -> np.ndarray:
    """Round to int8 codes in place: `np.clip` takes longer to begin than these rows take."""
    np.rint(numbers, out=numbers)
    np.minimum(numbers, 127.0, out=numbers)
    return np.maximum(numbers, -127.0, out=numbers)
