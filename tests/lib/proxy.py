"""`ferrohub proxy` as a child process, and the environment that `ferrohub env` tells scripts to use."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from lib.server import PATIENCE_SECONDS, Output, Server, binary


class Proxy:
    """A proxy on a server's data folder."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.process = subprocess.Popen(
            [str(binary()), "proxy", "--data-dir", str(server.data), "--port", "0"], env=self._bare(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "ready on 127.0.0.1:" in line, f"the proxy did not become ready: {line!r}"
        self.port = int(line.split("127.0.0.1:")[1].split()[0])

    def _bare(self) -> dict[str, str]:
        return {"HOME": str(self.server.data.parent), "PATH": os.environ["PATH"]}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def trust(self) -> str:
        return str(self.server.data / "proxy-ca.pem")

    def env(self, *arguments: str) -> Output:
        """Runs `ferrohub env`."""
        command = [str(binary()), "env", "--data-dir", str(self.server.data), *arguments]
        done = subprocess.run(command, env=self._bare(), text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS)
        return Output(done.returncode, done.stdout, done.stderr)

    def environment(self, *arguments: str, home: Path) -> dict[str, str]:
        """What a script sees after `eval "$(ferrohub env)"` in a shell of its own."""
        exports = self.env("--shell", "sh", *arguments)
        assert exports.code == 0, exports.stderr
        bare = {"HOME": str(home), "PATH": os.environ["PATH"]}
        done = subprocess.run(["sh", "-c", f"{exports.stdout}\nenv -0"], env=bare, text=True, capture_output=True, check=True)
        seen = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)
        return {**seen, "AZURE_CONFIG_DIR": str(home / "azure"), "PYTHONWARNINGS": "ignore"}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0, "the proxy did not end well"
