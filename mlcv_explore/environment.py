"""Where this installation keeps its files, and what its processor is fast at."""

import os
from functools import cache
from pathlib import Path

FAST = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # the first two on x86, the others on ARM


def home() -> Path:
    """The folder of runs, downloads and cached arrays: MLCV_HOME, or the platform's
    user data folder.
    """
    import platformdirs

    return Path(
        os.environ.get("MLCV_HOME") or platformdirs.user_data_dir("mlcv-explore", appauthor=False)
    ).expanduser()


@cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware. Emulated, it is 7 times
    slower than float32 on AVX2, and 30 times in training.
    """
    import torch

    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in FAST)
