"""The shim of test_crash.py is itself under test: a disk that forgot nothing would prove nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lib.shim import compile_shim

PROGRAM = """
import os, sys
folder = sys.argv[1]
def write(name, data, flags=os.O_RDWR | os.O_CREAT, sync=False, at=None):
    fd = os.open(folder + "/" + name, flags, 0o600)
    os.pwrite(fd, data, at) if at is not None else os.write(fd, data)
    if sync: os.fsync(fd)
    os.close(fd)
def sync_folder():
    fd = os.open(folder, os.O_RDONLY); os.fsync(fd); os.close(fd)
write("synced", b"kept", sync=True)
write("synced", b"LOST", at=4)
write("unsynced", b"lost")
write("old", b"XX", at=0)
fd = os.open(folder + "/log", os.O_RDWR | os.O_CREAT, 0o600)
for number in range(10):
    os.write(fd, b"%d" % number)
    if number == 4: os.fdatasync(fd)
copy = os.dup(fd)
os.close(fd)
os.ftruncate(copy, 8)
os.ftruncate(copy, 3)
os.fdatasync(copy)
os.write(copy, b"tail")
write("a.new", b"new", sync=True)
os.rename(folder + "/a.new", folder + "/a")
write("b.new", b"new", sync=True)
os.rename(folder + "/b.new", folder + "/b")
os.unlink(folder + "/gone-for-good")
sync_folder()
write("c.new", b"new", sync=True)
os.rename(folder + "/c.new", folder + "/c")
os.unlink(folder + "/gone-not-yet")
write("late", b"x")
os.kill(os.getpid(), 9)
"""


def test_only_what_was_synced_is_left(tmp_path: Path) -> None:
    real, shadow = tmp_path / "real", tmp_path / "shadow"
    for folder in (real, shadow):
        folder.mkdir()
        for name in ("old", "a", "b", "c", "gone-for-good", "gone-not-yet"):
            (folder / name).write_bytes(b"old")
    environment = {
        "PATH": os.environ["PATH"], "LD_PRELOAD": compile_shim(Path(__file__).parent / "forgetful_disk.c", tmp_path),
        "FORGETFUL_DIR": str(real), "FORGETFUL_SHADOW": str(shadow),
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(real)], env=environment, text=True, capture_output=True, timeout=30)
    assert done.returncode == -9, done.stderr
    left = {path.name: path.read_bytes() for path in shadow.iterdir()}
    assert left == {
        "synced": b"kept",
        # Its name lasts, by the folder; its content does not.
        "unsynced": b"",
        "old": b"old",
        "log": b"012",
        "a": b"new",
        "b": b"new",
        # Renamed and not synced: old content under the old name, new under the new one.
        "c": b"old",
        "c.new": b"new",
        "gone-not-yet": b"old",
    }
    assert (real / "unsynced").read_bytes() == b"lost" and (real / "c").read_bytes() == b"new"
