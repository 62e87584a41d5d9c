"""Batch normalisation as a layer of its own, with training mode, inference mode and gradients, in plain NumPy.

For people who train or adapt a batch norm from Python. It knows nothing of graphs, programs or engines.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgebn.errors import ModelError

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

CONVENTIONS = ("keras", "pytorch")
# The open interval of pre-activation values through which each activation lets a gradient pass; it clips to its ends.
ACTIVATION_RANGES = {None: (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}
ACTIVATIONS = tuple(ACTIVATION_RANGES)
MIN_TRAINING_COUNT = 2  # values per channel; the variance of a single value says nothing


@dataclass(frozen=True)
class _Cache:
    """What `backward` needs from the last `forward`; channel vectors are shaped to broadcast against the input."""

    normalised: Float64Array  # the input's shape: (x - mean) / sqrt(var + epsilon)
    inverse_std: Float64Array  # (1, ..., channels, ..., 1)
    gamma: Float64Array | float  # same; 1.0 without scale
    passes: NDArray[np.bool_] | None  # the input's shape: where the activation lets a gradient through; None: everywhere
    axes: tuple[int, ...]  # all but the channel axis
    training: bool


class BatchNorm:
    """Normalise every channel, then scale, shift and optionally activate it.

    ``y = activation(gamma * (x - mean) / sqrt(variance + epsilon) + beta)``

    with the mean and biased variance of the batch in training mode (Ioffe and Szegedy 2015, algorithm 1) and the moving
    ones in inference mode. Arrays go in and come out as float32; every sum inside is float64.

    Parameters
    ----------
    axis : int
        The channel axis; statistics run over all others. -1 for channels-last, 1 for channels-first. Not the batch axis 0.
    momentum : float
        How fast the moving statistics follow, 0..1. **Its meaning depends on `convention`.**
    epsilon : float
        Added to the variance, > 0. Keras' default is 1e-3, PyTorch's 1e-5.
    center, scale : bool
        Whether the layer has a beta, and a gamma.
    activation : {None, 'relu', 'relu6'}
        Applied after the shift; gradients pass through it.
    convention : {'keras', 'pytorch'}
        How a training step updates the moving statistics; nothing else differs.

        - 'keras': ``moving = momentum * moving + (1 - momentum) * batch`` with the biased variance (divided by n).
          Keras' default momentum is 0.99: it says how much is kept.
        - 'pytorch': ``moving = (1 - momentum) * moving + momentum * batch`` with the unbiased variance (divided by n - 1).
          PyTorch's default momentum is 0.1: it says how much is new.

    Attributes
    ----------
    gamma, beta : ndarray of float32, shape (channels,), or None
        None without `scale`, without `center`. Empty until built. An optimiser may update them in place.
    moving_mean, moving_variance : ndarray of float32, shape (channels,)
        Empty until built.
    grad_gamma, grad_beta : ndarray of float32, shape (channels,), or None
        Set by `backward`.

    Raises
    ------
    ModelError
        For an argument out of range.

    Examples
    --------
    >>> import numpy as np
    >>> layer = BatchNorm(momentum=0.9)
    >>> y = layer(np.array([[5.0, 10.0], [15.0, 30.0]]), training=True)
    >>> print(y.round(2).tolist(), layer.moving_mean.tolist())
    [[-1.0, -1.0], [1.0, 1.0]] [1.0, 2.0]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        activation: Literal["relu", "relu6"] | None = None,
        *,
        convention: Literal["keras", "pytorch"] = "keras",
    ) -> None:
        self.axis = _integer("axis", axis)
        if self.axis == 0:
            raise ModelError("BatchNorm: axis 0 is the batch axis; give the channel axis, -1 or 1 for most networks")
        self.momentum = _real("momentum", momentum)
        if not 0.0 <= self.momentum <= 1.0:
            raise ModelError(f"BatchNorm: momentum must lie in 0..1, not {momentum}")
        self.epsilon = _real("epsilon", epsilon)
        if not 0.0 < self.epsilon < np.inf:
            raise ModelError(f"BatchNorm: epsilon must be a small positive number such as 1e-3, not {epsilon}")
        _choice("activation", activation, ACTIVATIONS)
        _choice("convention", convention, CONVENTIONS)
        self.center, self.scale = bool(center), bool(scale)
        self.activation = activation
        self.convention = convention
        self.grad_gamma: Float32Array | None = None
        self.grad_beta: Float32Array | None = None
        self._cache: _Cache | None = None
        self._allocate(0)

    def build(self, channels: int) -> None:
        """Make the parameters: gamma 1, beta 0, moving mean 0, moving variance 1. The first `forward` does it unasked.

        Raises
        ------
        ModelError
            If `channels` is not positive, or the layer is built for another number.
        """
        channels = _integer("channels", channels)
        if channels < 1:
            raise ModelError(f"BatchNorm: channels must be positive, not {channels}")
        if len(self.moving_mean) not in (0, channels):
            raise ModelError(f"BatchNorm: built for {len(self.moving_mean)} channels, cannot be rebuilt for {channels}")
        if len(self.moving_mean) == 0:
            self._allocate(channels)

    def set_weights(
        self,
        *,
        gamma: ArrayLike | None = None,
        beta: ArrayLike | None = None,
        moving_mean: ArrayLike | None = None,
        moving_variance: ArrayLike | None = None,
    ) -> None:
        """Copy trained values in, each of shape (channels,); None leaves one as it is. Builds the layer if need be.

        Raises
        ------
        ModelError
            For a wrong shape, a value that is not finite, a negative variance, or a gamma or beta that the layer lacks.
        """
        parameters = {"gamma": gamma, "beta": beta, "moving_mean": moving_mean, "moving_variance": moving_variance}
        arrays = {name: _float32(value, name) for name, value in parameters.items() if value is not None}
        channels = len(self.moving_mean) or max((array.size for array in arrays.values()), default=0)
        for name, array in arrays.items():
            if name in ("gamma", "beta") and getattr(self, name) is None:
                option = "scale" if name == "gamma" else "center"
                raise ModelError(f"BatchNorm: {name} given, but the layer was made with {option}=False")
            if array.shape != (channels,):
                raise ModelError(f"BatchNorm: {name} has shape {array.shape}, the layer needs ({channels},)")
            if name == "moving_variance" and (array < 0).any():
                raise ModelError("BatchNorm: moving_variance has negative values; a variance is at least 0")
        if arrays:
            self.build(channels)
        for name, array in arrays.items():
            setattr(self, name, array)

    def forward(self, x: ArrayLike, training: bool = False) -> Float32Array:
        """Normalise `x`; in training mode with its own statistics, which then move the moving ones.

        Parameters
        ----------
        x : array_like of real numbers, rank >= 2
            Batch first, ``channels`` values along `axis`.
        training : bool
            Which statistics to use. A training step needs at least two values per channel.

        Returns
        -------
        ndarray of float32
            Of the shape of `x`; the caller's own.

        Raises
        ------
        ModelError
            For a wrong rank or number of channels, values that are not finite (or overflow float32 on the way), or a
            training batch with one value per channel. The layer is then as it was before the call.
        """
        values = _float32(x, "the input")
        axis = self._channel_axis(values)
        channels = values.shape[axis]
        if channels != (len(self.moving_mean) or channels):
            raise ModelError(
                f"BatchNorm: input of shape {values.shape} has {channels} channels along axis {self.axis}, "
                f"the layer was built for {len(self.moving_mean)}"
            )
        count = values.size // channels
        if training and count < MIN_TRAINING_COUNT:
            raise ModelError(
                f"BatchNorm: training needs at least two values per channel, input of shape {values.shape} has {count}; "
                "give a larger batch, or use training=False"
            )
        before = vars(self).copy()
        self.build(channels)
        try:
            return self._normalise(values, axis, count, training)
        except ModelError:
            vars(self).update(before)  # this may have been its first input
            raise

    def _normalise(self, values: Float32Array, axis: int, count: int, training: bool) -> Float32Array:
        channels = values.shape[axis]
        axes = tuple(index for index in range(values.ndim) if index != axis)
        shape = tuple(channels if index == axis else 1 for index in range(values.ndim))

        wide = values.astype(np.float64)
        if training:
            mean = wide.mean(axis=axes)
            variance = np.square(wide - mean.reshape(shape)).mean(axis=axes)
        else:
            mean = self.moving_mean.astype(np.float64)
            variance = self.moving_variance.astype(np.float64)
        inverse_std = 1.0 / np.sqrt(variance + self.epsilon)
        gamma = 1.0 if self.gamma is None else self.gamma.astype(np.float64).reshape(shape)
        beta = 0.0 if self.beta is None else self.beta.astype(np.float64).reshape(shape)
        normalised = (wide - mean.reshape(shape)) * inverse_std.reshape(shape)
        shifted = normalised * gamma + beta
        low, high = ACTIVATION_RANGES[self.activation]
        y = _float32(np.clip(shifted, low, high), "the output")
        if training:
            self._move_statistics(mean, variance, count)
        passes = None if self.activation is None else (shifted > low) & (shifted < high)
        self._cache = _Cache(normalised, inverse_std.reshape(shape), gamma, passes, axes, training)
        return y

    __call__ = forward

    def backward(self, dy: ArrayLike) -> Float32Array:
        """Return the loss gradient of the last `forward`'s input and set `grad_gamma` and `grad_beta`.

        In training mode the gradient flows through the batch's mean and variance as well (Ioffe and Szegedy 2015,
        section 3); in inference mode the moving statistics are constants.

        Parameters
        ----------
        dy : array_like of real numbers, of the shape of the last output
            Gradient of the loss by that output.

        Returns
        -------
        ndarray of float32
            Gradient of the loss by the input, of the same shape.

        Raises
        ------
        ModelError
            If no `forward` came before, or for another shape or values that are not finite.
        """
        cache = self._cache
        if cache is None:
            raise ModelError("BatchNorm: backward needs a forward before it; call forward(x, training=True) first")
        gradient = _float32(dy, "the gradient dy")
        if gradient.shape != cache.normalised.shape:
            raise ModelError(f"BatchNorm: the gradient dy has shape {gradient.shape}, the last output had {cache.normalised.shape}")
        dz = gradient.astype(np.float64)
        if cache.passes is not None:
            dz = np.where(cache.passes, dz, 0.0)
        sum_dz = dz.sum(axis=cache.axes, keepdims=True)
        sum_dz_normalised = (dz * cache.normalised).sum(axis=cache.axes, keepdims=True)
        centred = dz
        if cache.training:
            count = dz.size // sum_dz.size
            centred = dz - (sum_dz + cache.normalised * sum_dz_normalised) / count
        dx = _float32(centred * cache.gamma * cache.inverse_std, "the gradient of the input")
        grad_gamma = _float32(sum_dz_normalised.ravel(), "the gradient of gamma")
        grad_beta = _float32(sum_dz.ravel(), "the gradient of beta")
        self.grad_gamma = grad_gamma if self.scale else None
        self.grad_beta = grad_beta if self.center else None
        return dx

    def _allocate(self, channels: int) -> None:
        self.gamma: Float32Array | None = np.ones(channels, np.float32) if self.scale else None
        self.beta: Float32Array | None = np.zeros(channels, np.float32) if self.center else None
        self.moving_mean: Float32Array = np.zeros(channels, np.float32)
        self.moving_variance: Float32Array = np.ones(channels, np.float32)

    def _channel_axis(self, values: Float32Array) -> int:
        axis = self.axis + values.ndim if self.axis < 0 else self.axis
        if values.ndim < 2 or not 0 < axis < values.ndim:
            raise ModelError(f"BatchNorm: input of shape {values.shape} has no channel axis {self.axis} beside its batch axis 0")
        if values.shape[axis] == 0:
            raise ModelError(f"BatchNorm: input of shape {values.shape} has no channels along axis {self.axis}")
        return axis

    def _move_statistics(self, mean: Float64Array, variance: Float64Array, count: int) -> None:
        if self.convention == "keras":
            keep, new = self.momentum, 1.0 - self.momentum
        else:
            keep, new = 1.0 - self.momentum, self.momentum
            variance = variance * (count / (count - 1))
        old_mean, old_variance = self.moving_mean.astype(np.float64), self.moving_variance.astype(np.float64)
        moving_mean = _float32(keep * old_mean + new * mean, "the moving mean")
        moving_variance = _float32(keep * old_variance + new * variance, "the moving variance")
        self.moving_mean, self.moving_variance = moving_mean, moving_variance


def _integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ModelError(f"BatchNorm: {name} must be an integer, not {value!r}") from None


def _real(name: str, value: Any) -> float:
    if isinstance(value, (float, np.integer, np.floating)) or (isinstance(value, int) and abs(value) <= 1):
        return float(value)
    raise ModelError(f"BatchNorm: {name} must be a number, not {value!r}")


def _choice(name: str, value: Any, choices: tuple[str | None, ...]) -> None:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise ModelError(f"BatchNorm: {name} must be {' or '.join(map(repr, choices))}, not {value!r}")


def _float32(values: Any, what: str) -> Float32Array:
    """Copy to a finite float32 array, or say what is wrong with it."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ModelError(f"BatchNorm: {what} is not an array of numbers ({error})") from None
    if array.dtype.kind not in "fiu":
        raise ModelError(f"BatchNorm: {what} is of type {array.dtype}; give real numbers, float32 for choice")
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise ModelError(f"BatchNorm: {what} has values that are NaN, infinite or beyond float32; look at the data")
    return narrow
