"""Device, dtype and threads: chosen here, announced once, the same for training, sampling and evaluation."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from npc_align.errors import UserError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Device:
    """Where and how the model runs. `fast_bf16`: the machine multiplies bfloat16 matrices in hardware."""

    name: str
    dtype: torch.dtype
    threads: int
    fast_bf16: bool

    def __str__(self) -> str:
        threads = f", {self.threads} threads" if self.name == "cpu" else ""
        return f"device {self.name}, {str(self.dtype).removeprefix('torch.')}{threads}"


def cpu_has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (Intel AMX or AVX-512 BF16)."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def choose_device(dtype: str = "auto", processes: int = 1) -> Device:
    """Pick device, dtype and CPU threads, and set the threads.

    Args:
        dtype: `auto`, `float32`, `bfloat16` or `float16`. `auto` is bfloat16 where the hardware has it, else float32.
        processes: processes that share this machine's cores.

    Raises:
        UserError: unknown dtype name.
    """
    if dtype != "auto" and dtype not in DTYPES:
        raise UserError(f"model.dtype={dtype!r}: allowed are auto, {', '.join(DTYPES)}")
    wants_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    if torch.cuda.is_available() and not wants_cpu:
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        chosen = DTYPES.get(dtype, torch.bfloat16 if fast else torch.float32)
        return Device("cuda", chosen, torch.get_num_threads(), fast)
    # accelerate sets OMP_NUM_THREADS=1 for the processes it launches: right for GPUs, eight times too slow here.
    threads = max(1, (os.cpu_count() or 1) // max(1, processes))
    torch.set_num_threads(threads)
    fast = cpu_has_fast_bf16()
    return Device("cpu", DTYPES.get(dtype, torch.bfloat16 if fast else torch.float32), threads, fast)


def expectation(device: Device) -> str:
    """What the demo takes on this machine, in words."""
    if device.name != "cpu":
        return "the demo was tuned for a CPU; on this device it takes minutes"
    if device.fast_bf16:
        return "the demo takes about two hours on 2 such cores; this CPU has bfloat16 matrix instructions"
    return "this CPU has no bfloat16 matrix instructions: float32 is used, and the demo takes several hours; SMALL=1 proves the path in minutes"


if __name__ == "__main__":
    from npc_align.training.launch import announce

    here = choose_device()
    announce(f"{here}\n{expectation(here)}")
