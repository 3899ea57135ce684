"""What this machine's processor is fast at."""

from functools import cache

import torch

FAST = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # the first two on x86, the others on ARM


@cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself. Elsewhere it is imitated, on
    AVX2 7 times slower than float32 and 30 in training.
    """
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in FAST)
