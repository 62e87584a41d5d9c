"""The part of `<name>.c` and `<name>.h` that an adapting network has more. Text only; every decision stands in the Plan."""

from __future__ import annotations

import math

from codegen.adaptation import CODES, DRIFT_BOUND, Plan, adapted_epilogue, is_wide, rounds_twice
from codegen.emitters.text import ADAPTED, OBSERVATION, SOURCE, float_literal
from codegen.project import Listing
from codegen.templating import fill

FILES = ("edgebn_adapt.c", "edgebn_adapt.h", "edgebn_adapt_f32.h", "edgebn_root_f32.h", "edgebn_crc.h")  # besides the kernels
SWITCH = "#define EDGEBN_ADAPT /* kernels observe */\n"
_HASH_BYTES = 16


def memory(listing: Listing, plan: Plan) -> str:
    """Return the declarations of state and constants, for `<name>.c`."""
    adaptation = plan.program.adaptation
    assert adaptation is not None
    name = listing.name
    digest = bytes.fromhex(listing.model_hash)[:_HASH_BYTES]
    logits = plan.program.buffers[adaptation.logits]
    ram, layers = [], []
    for i, (layer, step, own, start) in enumerate(zip(plan.layers, plan.steps, plan.names, plan.starts, strict=True)):
        ram.append(
            f"static int32_t {own}_{ADAPTED}[{5 * layer.channels}];\n"
            f"static const edgebn_observation_s8 {own}_{OBSERVATION} = {{\n"
            f"    &{name}_adapt_centers[{start}], &{name}_adapt_shifts[{start}], {own}_rows, &{name}_first[{start}], "
            f"&{name}_second[{start}],\n}};"
        )
        epilogue = adapted_epilogue(step)
        layers.append(
            f"    {{{layer.channels}, {plan.positions[i]}.0f, {float_literal(adaptation.noise[i])}, "
            f"{float_literal(plan.table.first_scale[i])}, {float_literal(plan.table.second_scale[i])},\n"
            f"     {own}_{SOURCE}, {own}_{ADAPTED}, {int(epilogue.zero_point)}, {int(is_wide(step))}, {int(rounds_twice(step))}}},"
        )
    return fill(
        "adaptation.c.in",
        name=name,
        policy=plan.policy,
        channels=plan.channels,
        numbers=plan.numbers,
        classes=adaptation.classes,
        arrays="\n".join(ram),
        layers="\n".join(layers),
        layer_count=len(plan.layers),
        margin=float_literal(adaptation.margin),
        strength=float_literal(adaptation.strength),
        drift_bound=float_literal(DRIFT_BOUND),
        logit_scale=float_literal(logits.scale),
        logit_zero=logits.zero_point,
        code=CODES[plan.policy],
        digest=", ".join(f"0x{byte:02X}" for byte in digest),
    )


def believing(listing: Listing, logits: str) -> list[str]:
    """Return the lines that read the prediction from `logits`, as soon as they are made."""
    adaptation = listing.program.adaptation
    assert adaptation is not None
    buffer = listing.program.buffers[adaptation.logits]
    call = f"    edgebn_adapt_predict(&{listing.name}_adapter, "
    if math.prod(buffer.shape) > 1:
        return [f"{call}{logits});"]
    pair = f"int8_t pair[2] = {{{buffer.zero_point}, 0}}; /* the first class's logit is 0 */"
    return ["    {", f"        {pair}", f"        pair[1] = {logits}[0];", f"    {call}pair);", "    }"]


def functions(listing: Listing) -> str:
    """Return the definitions of the functions that a caller adapts with, for `<name>.c`."""
    return fill("adaptation_api.c.in", name=listing.name)


def declarations(listing: Listing, plan: Plan) -> str:
    """Return their declarations, for `<name>.h`."""
    return fill(
        "adaptation_api.h.in",
        name=listing.name,
        upper=listing.name.upper(),
        policy=plan.policy,
        bytes=plan.state_bytes,
        ram=f"{plan.ram_bytes:,}",
    )
