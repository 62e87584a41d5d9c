"""Drawers of what moves or selects elements: shapes, axes, crops, padding, joins, resampling; shuffles through up to five axes."""

from __future__ import annotations

import numpy as np

from tests.random_networks.drawing import MAX_LENGTH, Drawing
from tests.random_networks.elementwise import other_value

MAX_RANK = 5  # without the batch


def reshaped(net: Drawing, x: str, sample: tuple[int, ...]) -> str:
    """Reshape to a sample's shape, spelled in one of the ways that files spell it."""
    target = list(sample)
    how = net.pick(("zero", "minus", "literal", "inner"))
    if how == "minus":
        first = -1
    elif how == "literal" and net.batch is not None:
        first = net.batch
    else:
        first = 0
        if how == "inner" and target:
            target[net.size(0, len(target) - 1)] = -1
    if net.chance(0.2):
        return _computed_reshape(net, x, sample)
    return net.node("Reshape", x, net.ints([first, *target], "shape"))


def _computed_reshape(net: Drawing, x: str, sample: tuple[int, ...]) -> str:
    """Reshape by shape arithmetic, as torch.onnx.export writes x.view(x.shape[0], ...)."""
    shape = net.static_node("Shape", x)
    if net.chance(0.5):
        batch = net.static_node("Gather", shape, net.constant(np.int64(0), "i"), axis=0)
        batch = (
            net.static_node("Unsqueeze", batch, net.ints([0])) if net.opset >= 13 else net.static_node("Unsqueeze", batch, axes=[0])
        )
    elif net.opset >= 10:
        batch = net.static_node("Slice", shape, net.ints([0]), net.ints([1]), net.ints([0]))
    else:
        batch = net.static_node("Slice", shape, starts=[0], ends=[1], axes=[0])
    if net.chance(0.6) and len(sample) == 1:
        whole = net.static_node("Size", x)
        rest = net.static_node("Div", whole, net.static_node("Gather", shape, net.constant(np.int64(0), "i"), axis=0))
        rest = net.static_node("Reshape", rest, net.ints([1]))
    else:
        rest = net.ints(sample)
    return net.node("Reshape", x, net.static_node("Concat", batch, rest, axis=0))


def _factors(net: Drawing, number: int, parts: int) -> tuple[int, ...]:
    """Draw `parts` factors that multiply to a number."""
    factors = []
    for _ in range(parts - 1):
        divisor = net.pick([divisor for divisor in range(1, number + 1) if number % divisor == 0])
        factors.append(divisor)
        number //= divisor
    return tuple(net.rng.permutation([*factors, number]).tolist())


def reshape(net: Drawing, x: str) -> str:
    """Reshape into one to five axes: an axis split, neighbours merged, or anything of as many elements."""
    sample = net.sample(x)
    how = net.pick(("split", "merge", "merge", "any"))
    if how == "split" and len(sample) < MAX_RANK and sample:
        axis = net.size(0, len(sample) - 1)
        parts = net.size(2, min(3, MAX_RANK + 1 - len(sample)))
        target = (*sample[:axis], *_factors(net, sample[axis], parts), *sample[axis + 1 :])
    elif how == "merge" and len(sample) > 1:
        axis = net.size(0, len(sample) - 2)
        end = net.size(axis + 2, len(sample))
        target = (*sample[:axis], int(np.prod(sample[axis:end])), *sample[end:])
    else:
        target = _factors(net, int(np.prod(sample, dtype=np.int64)), net.size(1, MAX_RANK))
    net.need(max(target, default=1) <= MAX_LENGTH)
    return reshaped(net, x, target)


def flatten(net: Drawing, x: str) -> str:
    """Flatten behind the batch."""
    elements = int(np.prod(net.sample(x)))
    net.need(net.sample(x) and elements <= MAX_LENGTH)
    if net.chance(0.3):
        return reshaped(net, x, (elements,))
    return net.node("Flatten", x, **({"axis": 1} if net.chance(0.5) else {}))


def transpose(net: Drawing, x: str) -> str:
    """Transpose behind the batch."""
    rank = len(net.shape(x))
    net.need(rank > 2)
    return net.node("Transpose", x, perm=[0, *(1 + net.rng.permutation(rank - 1)).tolist()])


def squeeze(net: Drawing, x: str) -> str:
    """Squeeze named axes of length 1."""
    ones = [axis for axis, length in enumerate(net.shape(x)) if length == 1 and axis]
    net.need(ones)
    chosen = [axis for axis in ones if net.chance(0.7)] or ones[:1]
    chosen = [axis - len(net.shape(x)) if net.chance(0.3) else axis for axis in chosen]
    return net.node("Squeeze", x, net.ints(chosen)) if net.opset >= 13 else net.node("Squeeze", x, axes=chosen)


def unsqueeze(net: Drawing, x: str) -> str:
    """Unsqueeze one axis or two."""
    rank = len(net.shape(x))
    count = net.size(1, 2)
    net.need(rank + count <= MAX_RANK + 1)
    axes = sorted((1 + net.rng.permutation(rank + count - 1)[:count]).tolist())
    axes = [axis - rank - count if net.opset >= 11 and net.chance(0.3) else axis for axis in axes]
    return net.node("Unsqueeze", x, net.ints(axes)) if net.opset >= 13 else net.node("Unsqueeze", x, axes=axes)


def shuffle(net: Drawing, x: str) -> str:
    """A channel shuffle: channels split in groups, turned, merged; by keeping the batch apart or by merging it into the split."""
    sample = net.sample(x)
    net.need(1 <= len(sample) <= 3)
    channels, *sizes = sample
    groups = [group for group in range(2, channels) if channels % group == 0]
    net.need(groups)
    group = net.pick(groups)
    if net.batch == 1 and net.chance(0.3):
        split = net.node("Reshape", x, net.ints([group, channels // group, int(np.prod(sizes, dtype=np.int64))]))
        turned = net.node("Transpose", split, perm=[1, 0, 2])
        net.hide(split, turned)
        return net.node("Reshape", turned, net.ints([1, *sample]))
    split = (group, channels // group, *sizes)
    if len(sizes) == 2 and net.chance(0.3):
        split = (group, channels // group, sizes[0] * sizes[1])
    parts = reshaped(net, x, split)
    turned = net.node("Transpose", parts, perm=[0, 2, 1, *range(3, len(split) + 1)])
    return reshaped(net, turned, sample)


def pixel_shuffle(net: Drawing, x: str) -> str:
    """Depth to space through five axes, as exporters wrote it before DepthToSpace; either order of the channels."""
    net.need(len(net.sample(x)) == 3)
    channels, height, width = net.sample(x)
    factors = [factor for factor in (2, 3) if channels % factor**2 == 0]
    net.need(factors)
    factor = net.pick(factors)
    rest = channels // factor**2
    if net.chance(0.5):
        parts = reshaped(net, x, (rest, factor, factor, height, width))
        turned = net.node("Transpose", parts, perm=[0, 1, 4, 2, 5, 3])
    else:
        parts = reshaped(net, x, (factor, factor, rest, height, width))
        turned = net.node("Transpose", parts, perm=[0, 3, 4, 1, 5, 2])
    return reshaped(net, turned, (rest, height * factor, width * factor))


def space_to_depth(net: Drawing, x: str) -> str:
    """Pixel unshuffle through five axes."""
    net.need(len(net.sample(x)) == 3)
    channels, height, width = net.sample(x)
    factors = [factor for factor in (2, 3) if height % factor == 0 and width % factor == 0]
    net.need(factors)
    factor = net.pick(factors)
    parts = reshaped(net, x, (channels, height // factor, factor, width // factor, factor))
    turned = net.node("Transpose", parts, perm=[0, *net.pick(([1, 3, 5, 2, 4], [3, 5, 1, 2, 4]))])
    return reshaped(net, turned, (channels * factor**2, height // factor, width // factor))


def depth_to_space(net: Drawing, x: str) -> str:
    """DepthToSpace, either order of the channels."""
    net.need(len(net.sample(x)) == 3)
    factors = [factor for factor in (2, 3) if net.sample(x)[0] % factor**2 == 0]
    net.need(factors)
    mode = {"mode": net.pick(("DCR", "CRD"))} if net.opset >= 11 and net.chance(0.7) else {}
    return net.node("DepthToSpace", x, blocksize=net.pick(factors), **mode)


def space_to_depth_node(net: Drawing, x: str) -> str:
    """SpaceToDepth."""
    net.need(len(net.sample(x)) == 3)
    _, height, width = net.sample(x)
    factors = [factor for factor in (2, 3) if height % factor == 0 and width % factor == 0]
    net.need(factors)
    return net.node("SpaceToDepth", x, blocksize=net.pick(factors))


def to_last(net: Drawing, x: str) -> str:
    """Channels moved last, a matrix product, and back: how exporters write dense layers on images and mixers."""
    rank = len(net.shape(x))
    net.need(rank in (3, 4))
    last = net.node("Transpose", x, perm=[0, *range(2, rank), 1])
    width = net.size(1, 6)
    product = net.node(
        "MatMul", last, net.constant(net.normal(net.shape(last)[-1], width) / np.sqrt(np.float32(net.shape(last)[-1])))
    )
    return net.node("Transpose", product, perm=[0, rank - 1, *range(1, rank - 1)])


def concat(net: Drawing, x: str) -> str:
    """Concat along any axis of the sample: values that fit, the value itself, a function of it, constants."""
    rank = len(net.shape(x))
    net.need(rank > 1)
    axis = net.size(1, rank - 1)

    def fits(shape: tuple[int, ...]) -> bool:
        return len(shape) == rank and all(
            p == q or place == axis for place, (p, q) in enumerate(zip(shape, net.shape(x), strict=True))
        )

    parts = [x]
    for _ in range(net.pick((0, 1, 1, 1, 2, 3))):
        fitting = [name for name, value in net.values.items() if fits(value.shape)]
        if net.batch == 1 and net.chance(0.1):
            parts.append(net.constant(net.normal(*net.shape(x))))
        elif net.chance(0.7):
            parts.append(net.pick(fitting))
        else:
            parts.append(net.node(net.pick(("Relu", "Tanh", "Neg")), x))
    ordered = [parts[place] for place in net.rng.permutation(len(parts))]
    return net.node("Concat", *ordered, axis=axis - rank if net.chance(0.3) and net.opset >= 11 else axis)


def split(net: Drawing, x: str) -> str:
    """Split along any axis of the sample, evenly or not; the parts wait to be read."""
    rank = len(net.shape(x))
    axes = [axis for axis in range(1, rank) if net.shape(x)[axis] > 1]
    net.need(axes)
    axis = net.pick(axes)
    length = net.shape(x)[axis]
    count = net.size(1 if net.opset >= 13 else 2, min(4, length))
    attributes: dict = {"axis": axis - rank if net.chance(0.3) and net.opset >= 11 else axis}
    given: tuple[str, ...] = ()
    if length % count or net.chance(0.5):
        if net.opset >= 18 and net.chance(0.4) and -(-length // count) * (count - 1) < length:
            attributes["num_outputs"] = count
        else:
            cuts = sorted((1 + net.rng.permutation(length - 1)[: count - 1]).tolist())
            lengths = np.diff([0, *cuts, length]).tolist()
            if net.opset >= 13:
                given = (net.ints(lengths, "split"),)
            else:
                attributes["split"] = lengths
    elif net.opset >= 18:
        attributes["num_outputs"] = count
    return net.pick(net.nodes_outputs("Split", x, *given, outputs=count, **attributes))


def slice_(net: Drawing, x: str) -> str:
    """Slice along one or two axes, counted from either end, ends beyond the end, with steps of either sign."""
    rank = len(net.shape(x))
    axes = [axis for axis in range(1, rank) if net.shape(x)[axis] > 1]
    net.need(axes)
    chosen = net.rng.permutation(axes)[: net.size(1, 2)].tolist()
    starts, ends, steps = [], [], []
    for axis in chosen:
        length = net.shape(x)[axis]
        start = net.size(0, length - 1)
        end = net.size(start + 1, length)
        starts.append(start - length if net.chance(0.3) else start)
        ends.append(net.pick((end, end, end - length)) if end < length else net.pick((length, 2**31 - 1, 2**63 - 1)))
        step = net.pick((1, 1, 1, 2, 3, -1, -2)) if net.opset >= 10 else 1
        if step < 0:  # from the last element on, to the first or one before it
            starts[-1], ends[-1] = net.pick((end - 1, end - 1 - length)), net.pick((start - 1, -length - 1)) if start else -(2**31)
        steps.append(step)
    named = [axis - rank if net.chance(0.3) and net.opset >= 11 else axis for axis in chosen]
    if net.opset < 10:
        return net.node("Slice", x, starts=starts, ends=ends, axes=chosen)
    lists = [net.ints(starts), net.ints(ends), net.ints(named)]
    return net.node("Slice", x, *lists, *([net.ints(steps)] if set(steps) != {1} or net.chance(0.4) else []))


def pad(net: Drawing, x: str) -> str:
    """Pad the sample's axes with a number, also by negative amounts, or with its own elements."""
    rank = len(net.shape(x))
    axes = [axis for axis in range(1, rank) if net.chance(0.6)]
    net.need(axes)
    sides = [0] * (2 * rank)
    for axis in axes:
        for place in (axis, axis + rank):
            sides[place] = net.pick((0, 1, 1, 2, -1)) if net.shape(x)[axis] > 2 else net.size(0, 2)
    mode = "constant" if net.chance(0.7) else net.pick(("reflect", "edge"))
    if mode == "reflect":
        net.need(all(max(sides[axis], sides[axis + rank]) < net.shape(x)[axis] for axis in axes))
        net.need(min(sides) >= 0)  # onnxruntime reflects what it cuts off
    value = net.pick((None, 0.0, 0.5, -1.0))
    if net.opset < 11:
        return net.node("Pad", x, pads=sides, mode=mode, **({} if value is None else {"value": value}))
    settings = {} if mode == "constant" and net.chance(0.5) else {"mode": mode}
    if net.opset >= 18 and net.chance(0.4):
        named = [axis - rank if net.chance(0.5) else axis for axis in axes]
        short = net.ints([sides[axis] for axis in axes] + [sides[axis + rank] for axis in axes], "pads")
        filler = "" if value is None else net.constant(np.float32(value), "filler")
        return net.node("Pad", x, short, filler, net.ints(named), **settings)
    filling = () if value is None or mode != "constant" else (net.constant(np.float32(value), "filler"),)
    return net.node("Pad", x, net.ints(sides, "pads"), *filling, **settings)


def gather(net: Drawing, x: str) -> str:
    """Gather any elements of an axis: one, several again and again, or a table of them."""
    rank = len(net.shape(x))
    net.need(rank > 1)
    axis = net.size(1, rank - 1)
    shape = net.pick(((), (1,), (3,), (5,), (2, 2)))
    net.need(rank + len(shape) - 1 <= MAX_RANK + 1)
    length = net.shape(x)[axis]
    indices = net.rng.integers(-length if net.opset >= 11 else 0, length, shape)
    named = axis - rank if net.chance(0.3) and net.opset >= 11 else axis
    return net.node("Gather", x, net.constant(np.asarray(indices, np.int64), "picked"), axis=named)


def tile(net: Drawing, x: str) -> str:
    """Tile along one axis or several."""
    repeats = [1, *(net.pick((1, 1, 2, 3)) for _ in net.sample(x))]
    net.need(int(np.prod(net.shape(x)[1:], dtype=np.int64)) * int(np.prod(repeats)) <= MAX_LENGTH)
    return net.node("Tile", x, net.ints(repeats, "repeats"))


def expand(net: Drawing, x: str) -> str:
    """Expand axes of size 1, or put axes before the sample's where the batch is 1."""
    sample = net.sample(x)
    net.need(1 in sample)
    wanted = [net.pick((1, 2, 4)) if size == 1 else net.pick((1, size)) for size in sample]
    return net.node("Expand", x, net.ints([1, *wanted], "wanted"))


def _scales(net: Drawing, x: str) -> list[float]:
    sample = net.sample(x)
    scales = [net.pick((1.0, 2.0, 2.0, 3.0, 0.5, 1.5, round(float(net.uniform(0.5, 2.6)), 2))) for _ in sample[1:]]
    net.need(all(int(length * scale) >= 1 for length, scale in zip(sample[1:], scales, strict=True)))
    return [1.0, 1.0, *scales]


def upsample(net: Drawing, x: str) -> str:
    """Upsample by scales of at least 1."""
    net.need(len(net.sample(x)) in (2, 3))
    mode = net.pick(("nearest", "linear"))
    scales = np.maximum(_scales(net, x), 1).astype(np.float32)
    return net.node("Upsample", x, net.initializer(scales, "scales"), mode=mode)


def resize(net: Drawing, x: str) -> str:
    """Resize by scales or to sizes, with every way of counting pixels."""
    net.need(len(net.sample(x)) in (2, 3))
    mode = net.pick(("nearest", "linear", "nearest", "linear", "cubic"))
    if net.opset < 11:
        return net.node("Resize", x, net.initializer(np.array(_scales(net, x), np.float32), "scales"), mode=mode)
    modes = ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"]
    if net.opset >= 19:
        modes.append("half_pixel_symmetric")
    attributes: dict = {"mode": mode, "coordinate_transformation_mode": net.pick(modes)}
    if mode == "nearest" and net.chance(0.8):
        attributes["nearest_mode"] = net.pick(("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"))
    if mode == "cubic":
        # Behind the last pixel, where asymmetric coordinates come to, hardly any weight is inside, and rounding decides.
        inside = net.size(0, int(attributes["coordinate_transformation_mode"] != "asymmetric"))
        attributes |= {"cubic_coeff_a": net.pick((-0.75, -0.5)), "exclude_outside": inside} if net.chance(0.6) else {}
    none = net.constant(np.zeros(0, np.float32), "none") if net.opset < 13 else ""
    if net.chance(0.5):
        return net.node("Resize", x, none, net.initializer(np.array(_scales(net, x), np.float32), "scales"), **attributes)
    sizes = [net.size(1, 12) for _ in net.sample(x)[1:]]
    if net.opset >= 18 and net.chance(0.3):
        attributes["axes"] = list(range(2, len(net.shape(x))))
        attributes["keep_aspect_ratio_policy"] = net.pick(("stretch", "not_larger", "not_smaller"))
    else:
        sizes = [*net.shape(x)[:2], *sizes]
        if net.batch is None:
            net.need(net.opset >= 18)  # sizes name the batch, which is open
            attributes["axes"] = list(range(2, len(net.shape(x))))
            sizes = sizes[2:]
    return net.node("Resize", x, "", none, net.ints(sizes, "sizes"), **attributes)


def with_itself(net: Drawing, x: str) -> str:
    """A value and one that was made of it, joined: skip connections and dense blocks."""
    other = other_value(net, x)
    net.need(net.shape(other) == net.shape(x))
    if net.chance(0.6):
        return net.node("Add", x, other)
    return net.node("Concat", x, other, axis=1)
