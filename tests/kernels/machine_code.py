"""What LLVM writes for one function of a kernel, for any processor, as text."""

import re

import llvmlite.binding as llvm
from llvmlite import ir

X86, ARM64 = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
BRANCH = r"j\w+|b\.\w+"
LABEL = re.compile(r"^(\.LBB\d+_\d+):", re.MULTILINE)
BACK = re.compile(rf"\t(?!jmp)(?:{BRANCH})\t(\.LBB\d+_\d+)\n")
LOOP = re.compile(rf"^(\.LBB\d+_\d+):[^\n]*\n((?:(?!\.LBB).*\n)*?)\t(?:{BRANCH})\t\1\n", re.MULTILINE)


def assembly(writer, variant, found, triple, processor):
    """Return the machine code of the variant that is called so, of a writer's functions, for an instruction set."""
    module = ir.Module()
    module.triple = triple
    writer.define(module, list(writer.variants).index(variant)).linkage = "external"
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    features = ",".join(f"+{feature}" for feature in found.features)
    machine = llvm.Target.from_triple(triple).create_target_machine(processor, features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3))
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_assembly(parsed)


def innermost_loops(text):
    """Return the text of each block that ends where it begins again."""
    return [body for _, body in LOOP.findall(text)]


def innermost_loops_with_branches(text):
    """Return the text of each loop that holds no other, from a label to the branch back to it, with what it branches around.

    What is seldom done stands elsewhere and jumps back into a loop: that is none.
    """
    labels = {found[1]: found.end() for found in LABEL.finditer(text)}
    loops = [(labels[found[1]], found.end()) for found in BACK.finditer(text) if labels.get(found[1], len(text)) < found.start()]
    loops = [(begin, end) for begin, end in loops if "\tret" not in text[begin:end]]
    return [text[begin:end] for begin, end in loops if not any(begin < one and other < end for one, other in loops)]
