"""The memory that a network runs in: its own, at an address that the compiler knows, or any instance's of a caller's. C text.

The first is the default: the known address saves up to a twentieth of the instructions. A network that adapts has that alone: what
it learned is one for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.pools import Filled
from codegen.project import Listing
from edgebn.program import has_floats

_ABOUT = "every value between steps, and what kernels need for themselves; the same bytes serve many in turn"


def arena(listing: Listing, pool: str = "") -> str:
    """Return the expression for the first byte of the arena, or of its part in a pool, where a network runs."""
    if pool and listing.instances:
        return f"instance->in_{pool}->bytes"  # so that no pool has the name of another member
    if pool:
        return f"{pool_array(listing, pool)}.bytes"
    return "instance->arena.bytes" if listing.instances else f"{listing.name}_arena.bytes"


def own_arena(listing: Listing) -> str:
    """Return the definition of the network's own arena."""
    about = f"/* {_ABOUT[0].upper()}{_ABOUT[1:]}. */\n"
    if listing.arena.pools:
        return about + "\n".join(_pool(listing, filled) for filled in listing.arena.pools if filled.taken)
    return f"{_section(listing)}\n{about}static {listing.name.upper()}_MEMORY {_union(listing, '')} {listing.name}_arena;\n"


def clearing(listing: Listing) -> str:
    """Return the statements that clear the network's own arena."""
    arrays = [pool_array(listing, filled.name) for filled in listing.arena.pools if filled.taken] or [f"{listing.name}_arena"]
    return "\n".join(f"    (void)memset(&{array}, 0, sizeof {array});" for array in arrays)


def pool_array(listing: Listing, pool: str) -> str:
    """Return the name of the array that a pool's part of the arena is."""
    return f"{listing.name}_arena_{pool}"


def parts(listing: Listing) -> tuple[Filled, ...]:
    """Return the pools that hold a part of the arena."""
    return tuple(filled for filled in listing.arena.pools if filled.taken)


def given_parts(listing: Listing) -> str:
    """Return the parameters that bring an instance its part of each pool, each with a comma before it."""
    return "".join(f", union {listing.name}_{part.name} *in_{part.name}" for part in parts(listing))


def beginning(listing: Listing) -> str:
    """Return the statements that begin an instance: where its parts lie, and that they are cleared."""
    if not listing.arena.pools:
        return "    (void)memset(&instance->arena, 0, sizeof instance->arena);"
    taken = [f"in_{part.name}" for part in parts(listing)]
    lines = [f"    instance->{name} = {name};" for name in taken]
    return "\n".join([*lines, *(f"    (void)memset({name}, 0, sizeof *{name});" for name in taken)])


def _pool(listing: Listing, filled: Filled) -> str:
    """Return the definition of one pool's part of the arena."""
    upper, name = f"{listing.name}_arena_{filled.name}".upper(), filled.name
    section = listing.sections.get(name, "")
    default = f' __attribute__((section("{section}")))' if section else ""
    attribute = f"#ifndef {upper}_MEMORY /* a section attribute: where this part lies */\n#define {upper}_MEMORY{default}\n#endif\n"
    own = f"union {listing.name}_{name}" if listing.instances else _union(listing, "", f"{upper}_BYTES")
    return f"{attribute}static {upper}_MEMORY {own} {pool_array(listing, name)};\n"


def declarations(listing: Listing, places: Sequence[tuple[str, str]], parameters: str) -> str:
    """Return what the header says of instances.

    Parameters
    ----------
    listing : Listing
    places : sequence of (str, str)
        Inputs and outputs that have a place in the arena: C type and name.
    parameters : str
        Parameters of the run function.
    """
    if not listing.instances:
        return ""
    name, upper = listing.name, listing.name.upper()
    states = f"    union {{\n        int64_t alignment;\n        int8_t bytes[{upper}_STATE_BYTES];\n    }} states;"
    states += " /* what lives from run to run */\n"
    reset = f"/* Begins a new sequence in an instance; {name}_init_with does it too. */\n"
    reset += f"void {name}_reset_state_of(struct {name} *instance);\n\n"
    functions = "".join(f"{item} *{name}_{parameter}_of(struct {name} *instance);\n" for item, parameter in places)
    memory = f"    {_union(listing, '    ')} arena; /* {_ABOUT} */"
    if listing.arena.pools:
        memory = "\n".join(f"    union {name}_{part.name} *in_{part.name};" for part in parts(listing))
    place = (
        ""
        if listing.arena.pools
        else f"""\
/* Makes an instance of a buffer, in memory of any kind: returns it, prepared, or NULL where the buffer has fewer bytes than
   sizeof(struct {name}) or does not begin at a multiple of 8. */
struct {name} *{name}_place(void *memory, uint32_t bytes);

"""
    )
    return f"""\
/* ---- Memory of the caller's: several instances, each with its own, may run at once ---- */

{_part_types(listing)}struct {name} {{
{memory}
{states if listing.values.states else ""}}};

/* Prepares an instance; call once, before anything else with it. */
void {name}_init_with(struct {name} *instance{given_parts(listing)});

{place}{f"/* As the functions above that are called alike. */{chr(10)}{functions}{chr(10)}" if places else ""}\
{reset if listing.values.states else ""}\
/* One inference, as {name}_run; it touches nothing but the instance, the constants and what it is given. */
void {name}_run_with(struct {name} *instance, {parameters});

"""


def _part_types(listing: Listing) -> str:
    """Return the types of an instance's parts, one a pool."""
    text = ""
    for part in parts(listing):
        name = f"{listing.name}_{part.name}"
        union = _union(listing, "", f"{listing.name}_ARENA_{part.name}_BYTES".upper())
        text += f"/* What an instance has in the pool {part.name}, in memory of that kind. */\n"
        text += f"union {name} {union.removeprefix('union ')};\n\n"
    return text


def own_source(listing: Listing, places: Sequence[tuple[str, str]], parameters: str, names: Sequence[str]) -> str:
    """Return the functions that run a network in memory of its own; see `declarations`. `names` are those of the parameters."""
    name, upper = listing.name, listing.name.upper()
    own = f"&{name}_own"
    accessors = "".join(
        f"\n{item} *{name}_{parameter}(void) {{\n    return {name}_{parameter}_of({own});\n}}\n" for item, parameter in places
    )
    states = (
        f"\nvoid {name}_reset_state(void) {{\n    {name}_reset_state_of({own});\n}}\n"
        f"\nvoid *{name}_state(void) {{\n    return {name}_own.states.bytes;\n}}\n"
    )
    given_own = "".join(f", &{pool_array(listing, part.name)}" for part in parts(listing))
    arrays = "\n".join(_pool(listing, part) for part in parts(listing))
    return f"""\
/* The instance of those that bring no memory. */
#if !defined({upper}_NO_MEMORY)
{arrays}{_section(listing)}
static {upper}_MEMORY struct {name} {name}_own;

void {name}_init(void) {{
    {name}_init_with({own}{given_own});
}}
{accessors}{states if listing.values.states else ""}
void {name}_run({parameters}) {{
    {name}_run_with({own}, {", ".join(names)});
}}
#endif
"""


def _section(listing: Listing) -> str:
    macro = f"{listing.name.upper()}_MEMORY"
    return f"#ifndef {macro} /* a section attribute, for example */\n#define {macro}\n#endif\n"


def _union(listing: Listing, indent: str, size: str = "") -> str:
    item = "float" if has_floats(listing.program) else "int32_t"
    lines = ("int64_t alignment;", f"{item} elements;", f"int8_t bytes[{size or listing.name.upper() + '_ARENA_BYTES'}];")
    return "union {\n" + "".join(f"{indent}    {line}\n" for line in lines) + f"{indent}}}"
