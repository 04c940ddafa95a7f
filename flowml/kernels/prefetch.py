"""Calling for memory before it is needed, from compiled loops."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

CACHE_LINE = 64
TO_READ, KEEP, DATA = 0, 3, 1


def _call_for(context: Any, address: Any) -> Any:
    """Ask for the line of memory at an address; one that isn't there does no harm."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
        how = [ir.Constant(word, code) for code in (TO_READ, KEEP, DATA)]
        builder.call(prefetch, [builder.inttoptr(arguments[0], pointer), *how])
        return context.get_dummy_value()

    return types.void(types.intp), generate


call_for: Any = intrinsic(_call_for)
