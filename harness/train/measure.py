"""Peak memory of this process on a device, in bytes, since the last reset.

CUDA: the allocator's peak. Linux: VmHWM, reset through /proc/self/clear_refs. Elsewhere, or where that file is not
writable, the peak of the whole process so far (ru_maxrss): then a later run of a shared process shows at least the
peak of the earlier ones.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def reset_peak(device: str) -> None:
    """Start a new peak."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return
    clear = Path("/proc/self/clear_refs")
    try:
        clear.write_text("5")
    except OSError:  # not Linux, or a locked-down container: the module's docstring says what is measured then
        return


def peak_memory_bytes(device: str) -> int:
    """The highest memory held since the last reset."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
