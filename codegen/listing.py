"""`<name>.c`: the network from top to bottom, one kernel call a step. Text only; every decision stands in the Listing."""

from __future__ import annotations

from codegen import adapting, instances, kernels, states, weights_in_ram
from codegen.constants import comment
from codegen.describe import describe, shape_text
from codegen.naming import SCRATCH
from codegen.project import KERNELS, Listing
from codegen.schedule import Action
from codegen.values import ELEMENT, size_of

TRACE_HEADER = "edgebn_trace.h"
SMALLEST_INT_MAX = 32767  # that C allows
# Several networks in one translation unit share what is static; those that adapt have kernels that observe.
_IN_THE_UNIT = """
/* With EDGEBN_ONE_UNIT only where a file of yours with EDGEBN_UNIT includes it: networks that do so share their kernels. */
#if !defined(EDGEBN_ONE_UNIT) || defined(EDGEBN_UNIT)
"""
_ALONE = """
#if defined(EDGEBN_UNIT)
#error "a network that adapts has kernels of its own: leave it out of this unit, where it is compiled by itself"
#endif
"""
_EDITION = """
#if EDGEBN_EDITION != 0x{edition:08X}u
#error "these kernels are of another edition than this network: make both with the same version of edgebn"
#endif"""
_NO_USE = "\n    (void)instance; /* the caller has all memory that this network needs */"


def source(listing: Listing) -> str:
    """Return the text of `<name>.c`."""
    name = listing.name
    includes = "\n".join(f'#include "{KERNELS}/{header}"' for header in headers(listing))
    memory = ["", f"    int8_t *const memory = {instances.arena(listing)};"] if _uses_memory(listing) else []
    plan = listing.adaptation
    begin = [f"    edgebn_adapt_begin(&{name}_adapter);"] if plan else []
    body = "\n".join([*memory, *states.places(listing), *_places(listing), "", *begin, *_steps(listing)])
    switch, header = (adapting.SWITCH, f'\n#include "{KERNELS}/edgebn_adapt.h"') if plan else ("", "")
    state = f"\n{adapting.memory(listing, plan)}" if plan else ""
    reset = states.reset(listing)
    start = weights_in_ram.copying(name, listing.in_ram, once=listing.instances)
    start += (reset and f"\n    {reset}") + (f"\n    edgebn_adapt_init(&{name}_adapter);" if plan else "")
    before, after = ("", "\n#endif\n") if plan is None else (_ALONE, "")
    return f"""\
/* {comment(listing.title)}: the network as C, one call a step, sizes literal. See README.md. */
{switch}#include "{name}.h"
{before or _IN_THE_UNIT}
#include "{name}_params.h"
{includes}{header}
{_EDITION.format(edition=kernels.edition())}{_least_int(listing)}
{state}{_run(listing, body, start)}{after}"""


def _run(listing: Listing, body: str, start: str) -> str:
    """Return the functions that begin and that run: in the network's own memory, or in any instance's."""
    name = listing.name
    copies = weights_in_ram.definition(name, listing.in_ram, listing.sections, once=listing.instances)
    if not listing.instances:
        return f"""
{copies}{instances.own_arena(listing)}{states.memory(listing)}
{states.functions(listing)}void {name}_init(void) {{
{instances.clearing(listing)}{start}
}}

{_accessors(listing, "", "void")}
{adapting.functions(listing) if listing.adaptation else ""}void {name}_run({parameters(listing)}) {{{body}
}}
"""
    return f"""
{copies}{states.functions(listing)}void {name}_init_with(struct {name} *instance{instances.given_parts(listing)}) {{
{instances.beginning(listing)}{start}
}}

{"" if listing.arena.pools else _place(listing)}{_accessors(listing, "_of", f"struct {name} *instance")}
void {name}_run_with(struct {name} *instance, {parameters(listing)}) {{{"" if "instance->" in body else _NO_USE}{body}
}}

{instances.own_source(listing, typed_places(listing), parameters(listing), _names(listing))}"""


def _place(listing: Listing) -> str:
    """Return the function that makes an instance of a buffer."""
    name = listing.name
    return f"""\
struct {name} *{name}_place(void *memory, uint32_t bytes) {{
    struct {name} *const instance = (struct {name} *)memory;

    if (memory == NULL || bytes < sizeof *instance || (uintptr_t)memory % sizeof(int64_t) != 0) {{
        return NULL;
    }}
    {name}_init_with(instance);
    return instance;
}}

"""


def _least_int(listing: Listing) -> str:
    """Return a check of what the compiler's int holds, for a network of which some memory has more bytes than C promises."""
    largest = max([listing.arena.size, listing.values.state_bytes, *(array.nbytes for array in listing.arrays)])
    if largest <= SMALLEST_INT_MAX:
        return ""
    why = f"the largest array of this network has {largest} bytes, and int is too small to count them"
    return f'\n/* Kernels count in int. */\n#include <limits.h>\n#if INT_MAX < {largest}\n#error "{why}"\n#endif\n'


def headers(listing: Listing) -> list[str]:
    """Return the kernel library's files that the listing includes."""
    return sorted({TRACE_HEADER, kernels.EDITION_HEADER, *(header for action in listing.actions for header in action.code.headers)})


def parameters(listing: Listing) -> str:
    """Return the parameters of the run function."""
    adaptation = [f"const {item_of(listing, buffer)} *{parameter}" for buffer, parameter in listing.values.inputs]
    return ", ".join([*adaptation, *(f"{item_of(listing, buffer)} *{parameter}" for buffer, parameter in listing.values.outputs)])


def item_of(listing: Listing, buffer: str) -> str:
    """Return the C type of a buffer's elements."""
    return ELEMENT[listing.program.buffers[buffer].dtype][0]


def accessors(listing: Listing) -> list[tuple[str, int, str]]:
    """Return (C name of the parameter, offset in the arena, buffer) of every input and output that has a place there."""
    found = []
    for buffer, parameter in (*listing.values.inputs, *listing.values.outputs):
        owner = listing.values.owner[buffer]
        if owner in listing.arena.offsets and listing.values.expressions[owner] == parameter:
            found.append((parameter, listing.arena.offsets[owner], buffer))
    return found


def typed_places(listing: Listing) -> list[tuple[str, str]]:
    """Return (C type, C name) of every input and output that has a place in the arena."""
    return [(item_of(listing, buffer), parameter) for parameter, _, buffer in accessors(listing)]


def _names(listing: Listing) -> list[str]:
    return [parameter for _, parameter in (*listing.values.inputs, *listing.values.outputs)]


def _accessors(listing: Listing, suffix: str, adaptation: str) -> str:
    functions = []
    for parameter, offset, buffer in accessors(listing):
        item = item_of(listing, buffer)
        place = _pointer(item, instances.arena(listing, listing.arena.pool.get(listing.values.owner[buffer], "")), offset)
        functions.append(f"{item} *{listing.name}_{parameter}{suffix}({adaptation}) {{\n    return {place};\n}}\n")
    return "\n".join(functions)


def _pointer(item: str, memory: str, offset: int) -> str:
    place = f"{memory} + {offset}" if offset else memory
    return place if item == "int8_t" else f"({item} *)(void *)({place})"


def _uses_memory(listing: Listing) -> bool:
    """Whether the run needs the arena's first byte under a name; that of a pool stands where it is used."""
    if listing.arena.pools:
        return False
    return bool(_places(listing)) or any(SCRATCH in action.code.call for action in listing.actions)


def _places(listing: Listing) -> list[str]:
    """Return the declarations of the values between steps, in the order in which they are made."""
    lines = []
    declared: set[str] = set()
    outside = {parameter for _, parameter in (*listing.values.inputs, *listing.values.outputs)}
    for action in listing.actions:
        owner = action.output_owner
        expression = listing.values.expressions[owner]
        if owner in declared or expression in outside:
            continue
        declared.add(owner)
        item, offset = item_of(listing, owner), listing.arena.offsets[owner]
        text = f"    {item} *const {expression} = {_pointer(item, _memory(listing, listing.arena.pool.get(owner, '')), offset)};"
        shape = shape_text(listing.program.buffers[action.output].shape)
        lines.append(f"{text}{' ' * max(1, 76 - len(text))}/* {shape} */")
    return lines


def _memory(listing: Listing, pool: str) -> str:
    """Return the expression for the first byte of the arena, or of a pool, within the run function."""
    return instances.arena(listing, pool) if pool else "memory"


def _scratch(listing: Listing, index: int) -> str:
    """Return the expression for an action's scratch memory."""
    pools, offset = listing.arena.scratch_pool, listing.arena.scratch[index]
    memory = _memory(listing, pools[index] if pools else "")
    return f"({memory} + {offset})" if offset else memory


def _steps(listing: Listing) -> list[str]:
    lines: list[str] = []
    for index, action in enumerate(listing.actions):
        scratch = _scratch(listing, index)
        lines += [f"    /* {comment(_headline(listing, action))} */"]
        call = weights_in_ram.reading(listing.name, listing.in_ram, action.code.call).replace(SCRATCH, scratch)
        lines += [f"    {line}" for line in call.splitlines()]
        target = listing.values.expressions[action.output]
        nbytes = size_of(listing.program.buffers[action.output])
        lines += [f"    EDGEBN_MADE({action.steps[-1]}, {target}, {nbytes});"]
        adaptation = listing.program.adaptation
        if listing.adaptation and adaptation and action.output == adaptation.logits:
            lines += adapting.believing(listing, target)
        lines += [""]
    for (copied, parameter), buffer in zip(listing.values.copies, _copied(listing), strict=True):
        nbytes = size_of(listing.program.buffers[buffer])
        lines += [f"    (void)memcpy({parameter}, {copied}, {nbytes});", ""]
    lines += [*states.leaving(listing), ""] if listing.program.states else []
    return lines[:-1]


def _copied(listing: Listing) -> list[str]:
    by_parameter = {parameter: buffer for buffer, parameter in listing.values.outputs}
    return [by_parameter[parameter] for _, parameter in listing.values.copies]


def _headline(listing: Listing, action: Action) -> str:
    steps = [listing.program.steps[i] for i in action.steps]
    parts = [f"{i}  {describe(step, listing.program)}" for i, step in zip(action.steps, steps, strict=True)]
    return "\n       ".join(parts) if len(parts) == 1 else ", then ".join(parts)
