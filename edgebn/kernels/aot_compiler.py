"""Numba turned into a cross compiler: the executor's machine code for an instruction set, as relocatable object files.

Numba's own code generator is replaced, for this process, by one that targets another processor and makes no code to run. Everything
from the kernels' source to optimised LLVM code is then what Numba does on such a processor itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import codegen
from numba.core.registry import cpu_target

from edgebn.kernels import builtin_function, jit_executor, native
from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.jit import decorator

TRIPLES = {
    "x86_64": "x86_64-unknown-linux-gnu",
    "aarch64": "aarch64-unknown-linux-gnu",
    "armv7l": "armv7-unknown-linux-gnueabihf",
    "armv6l": "armv6-unknown-linux-gnueabihf",
    "riscv64": "riscv64-unknown-linux-gnu",
    "arm64": "arm64-apple-macosx11.0.0",
    "AMD64": "x86_64-pc-windows-msvc",
}
# The plainest processor that has an object's features: an object must run on all of them.
BASELINES = {
    "x86_64": "x86-64",
    "aarch64": "generic",
    "armv7l": "generic",
    "armv6l": "arm1176jzf-s",
    "riscv64": "generic-rv64",
    "arm64": "apple-m1",
    "AMD64": "x86-64",
}
# What such a processor has, or lacks, beside that name's own: LLVM takes NEON for granted on ARMv7, Debian does not.
BASELINE_FEATURES = {"armv7l": "+vfp3d16,-neon,-d32", "riscv64": "+m,+a,+f,+d,+c"}
# How arguments are passed, where a triple does not say it.
ABIS = {"riscv64": "lp64d"}
OF_64_BITS = {"x86_64", "aarch64", "riscv64", "arm64", "AMD64"}
# The processor for which an object's instructions are put in order: the one that runs them in order. Others do not mind.
TUNED_FOR = {"neon": "cortex-a53"}


class _Library(codegen.AOTCodeLibrary):
    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002  # nothing here is ever called
        self._ensure_finalized()  # Numba asks for a pointer when a function is complete
        return 0


class _Codegen(codegen.AOTCPUCodegen):
    """Numba's code generator for any target, without an engine that could run the code."""

    _library_class = _Library

    def __init__(self, triple: str, cpu: str, features: str, abi: str) -> None:
        self._triple, self._cpu, self._wanted, self._abi = triple, cpu, features, abi
        super().__init__("edgebn.aot")

    def _init(self, llvm_module: llvm.ModuleRef) -> None:  # noqa: ARG002  # only an engine would want it
        self._tm_features = self._wanted
        self._tm = llvm.Target.from_triple(self._triple).create_target_machine(
            cpu=self._cpu, features=self._wanted, opt=3, reloc="pic", codemodel="default", abiname=self._abi
        )
        self._target_data = self._tm.target_data
        self._data_layout = str(self._target_data)
        self._loopvect, self._opt_level = False, 0  # of Numba's first, cheap pass; as it sets them itself

    def _create_empty_module(self, name: str) -> ir.Module:
        module = super()._create_empty_module(name)
        module.triple = self._triple
        return module

    def set_env(self, env_name: str, env: object) -> None:
        """Do nothing: environments belong to processes that run the code."""


class Compiler:
    """Compiles executors for one instruction set; a process makes one at most.

    Parameters
    ----------
    isa : InstructionSet
        The selected one: kernels are already written for it.
    machine : str
        One of `TRIPLES`.
    """

    def __init__(self, isa: InstructionSet, machine: str) -> None:
        self._isa = isa
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        self._is_of_64_bits = machine in OF_64_BITS
        features = ",".join([*filter(None, [BASELINE_FEATURES.get(machine)]), *(f"+{feature}" for feature in isa.features)])
        self._codegen = _Codegen(TRIPLES[machine], BASELINES[machine], features, ABIS.get(machine, ""))
        cpu_target.target_context._internal_codegen = self._codegen  # noqa: SLF001  # Numba offers no other way in

    def executor(self) -> bytes:
        """Return an object file with the executor of all kernels as C functions: the general entry and, of 64 bits, the fast."""
        symbol, fast_call = native.ENTRY, native.FAST_CALL
        options = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        dispatcher = decorator(**options)(jit_executor.plain_function(jit_executor.ALL))
        dispatcher.compile(numba.int64(*[numba.int64] * native.ARGUMENTS))
        (result,) = dispatcher.overloads.values()
        entry = self._entry(symbol, result.fndesc.llvm_func_name)
        module = llvm.parse_assembly(_tuned(result.library.get_llvm_str(), TUNED_FOR.get(self._isa.name)))
        if self._is_of_64_bits:
            self._add_fast_call(entry, fast_call, symbol)
        module.link_in(llvm.parse_assembly(str(entry)))
        for value in (*module.functions, *module.global_variables):
            if not value.is_declaration and value.name not in {symbol, fast_call}:
                value.linkage = "internal"
        tuning = llvm.create_pipeline_tuning_options(speed_level=0)
        passes = llvm.create_new_module_pass_manager()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(module, llvm.create_pass_builder(self._codegen._tm, tuning))  # noqa: SLF001  # our own class
        module.verify()
        return self._codegen._tm.emit_object(module)  # noqa: SLF001  # the same

    def text(self, symbol: str, value: str) -> bytes:
        """Return an object file with a zero-terminated text of that name."""
        module = self._module()
        data = bytearray(value.encode() + b"\0")
        kind = ir.ArrayType(ir.IntType(8), len(data))
        variable = ir.GlobalVariable(module, kind, symbol)
        variable.initializer, variable.global_constant = ir.Constant(kind, data), True
        return self._codegen._tm.emit_object(llvm.parse_assembly(str(module)))  # noqa: SLF001  # the same

    def stubs(self, names: Iterable[str]) -> bytes:
        """Return an object file with functions of these names that do nothing: enough to link against."""
        module = self._module()
        for name in names:
            function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), name)
            ir.IRBuilder(function.append_basic_block()).ret_void()
        return self._codegen._tm.emit_object(llvm.parse_assembly(str(module)))  # noqa: SLF001  # our own class

    def _entry(self, symbol: str, callee: str) -> ir.Module:
        """Return a module with a plain C function around Numba's, which returns through a pointer and may name an exception."""
        module = self._module()
        word, byte = ir.IntType(64), ir.IntType(8)
        words = [word] * native.ARGUMENTS
        error = byte.as_pointer().as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [word.as_pointer(), error, *words])
        inner = ir.Function(module, kind, callee)
        entry = ir.Function(module, ir.FunctionType(word, words), symbol)
        builder = ir.IRBuilder(entry.append_basic_block())
        result, no_error = builder.alloca(word), builder.alloca(byte.as_pointer())
        builder.call(inner, [result, no_error, *entry.args])  # kernels raise nothing
        builder.ret(builder.load(result))
        return module

    def _add_fast_call(self, module: ir.Module, symbol: str, entry: str) -> None:
        """Add the entry that Python calls itself: (words, arrays, their number) -> the last of them.

        Or None, where the call is not the fast one.
        """
        word, objects = ir.IntType(64), ir.IntType(64).as_pointer()
        function = ir.Function(module, ir.FunctionType(word, [word, objects, word]), symbol)
        builder = ir.IRBuilder(function.append_basic_block())
        holder, arguments, count = function.args
        address = builder.add(holder, ir.Constant(word, builtin_function.DATA_AT))
        words = builder.load(builder.inttoptr(address, objects.as_pointer()))

        def item(array: ir.Value, index: int) -> ir.Value:
            return builder.load(builder.gep(array, [ir.Constant(word, index)]))

        def ask(index: int, *arguments: ir.Value) -> ir.Value:
            kind = ir.FunctionType(word, [word] * len(arguments))
            return builder.call(builder.inttoptr(item(words, index), kind.as_pointer()), arguments)

        thread = ask(builtin_function.LEAVE)
        arrays = builder.ptrtoint(arguments, word)
        status = builder.call(module.globals[entry], [item(words, builtin_function.CALL), ir.Constant(word, 1), arrays])
        ask(builtin_function.RETURN, thread)
        is_done = builder.icmp_signed("==", status, ir.Constant(word, 0))
        last = builder.load(builder.gep(arguments, [builder.sub(count, ir.Constant(word, 1))]))
        result = builder.select(is_done, last, item(words, builtin_function.NONE))
        ask(builtin_function.HOLD, result)
        builder.ret(result)

    def _module(self) -> ir.Module:
        return self._codegen._create_empty_module("edgebn")  # noqa: SLF001  # our own class


def _tuned(module: str, processor: str | None) -> str:
    """Return LLVM code whose functions are scheduled for a processor, without a feature more than before."""
    if processor is None:
        return module
    return re.sub(r"^(define [^\n{]*\)[^\n{]*)\{", rf'\1 "tune-cpu"="{processor}" {{', module, flags=re.MULTILINE)
