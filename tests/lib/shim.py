"""Shared libraries that stand between the program and the system, compiled by the tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def compile_shim(source: Path, folder: Path) -> str:
    """Compiles a C file into a library for LD_PRELOAD and gives its path."""
    library = folder / f"{source.stem}.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl", "-lpthread"]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return str(library)
