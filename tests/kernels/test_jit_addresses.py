"""What the JIT's code generator leaves behind is optimised again: addresses must stay sums of integers."""

import subprocess
import sys

import pytest

# An address whose sum another block has made: the code generator writes it anew beside the access.
SCRIPT = """
import sys
import llvmlite.binding as llvm
from edgebn.kernels.jit import write_addresses_as_sums

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
if sys.argv[1] == "sums":
    write_addresses_as_sums()
machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(cpu="generic", features="+neon", opt=3)
code = '''
define void @f(i64 %base, i64 %c, i1 %go) {
  %step = shl i64 %c, 2
  %sum = add i64 %step, %base
  br i1 %go, label %then, label %done
then:
  %place = inttoptr i64 %sum to POINTER
  %value = load i32, POINTER %place, align 1
  %twice = add i32 %value, %value
  store i32 %twice, POINTER %place, align 1
  br label %done
done:
  ret void
}
'''
pointer = "ptr" if llvm.llvm_version_info[0] > 15 else "i32*"  # pointers had types
module = llvm.parse_assembly(code.replace("POINTER", pointer))
module.triple = "aarch64-unknown-linux-gnu"
machine.emit_object(module)
print(module)
"""


@pytest.mark.parametrize(("option", "steps"), [("sums", False), ("as it comes", True)])
def test_the_code_generator_writes_no_steps_from_a_part_of_an_address(option, steps):
    found = subprocess.run([sys.executable, "-c", SCRIPT, option], capture_output=True, text=True, check=True).stdout
    assert "sunkaddr" in found  # it does write it anew
    assert ("getelementptr" in found) == steps
