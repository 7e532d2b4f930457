"""The program under test as a child process."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypeVar

PATIENCE_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")


def binary() -> Path:
    """The program: what xtask built, else what lies in the target folder."""
    path = Path(os.environ.get("FERROHUB_TEST_BINARY", ROOT / "target" / "debug" / "ferrohub"))
    if not path.is_file():
        raise RuntimeError(f"there is no program at {path}; run 'cargo build -p ferrohub' or 'cargo xtask test'")
    return path


def until(what: str, probe: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Polls until `probe` gives something; fails with `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Output:
    """What a finished process left."""

    code: int
    stdout: str
    stderr: str


class Server:
    """`ferrohub serve` on a data folder; may be killed and started again."""

    def __init__(self, data: Path, mqtt_port: int = 0, environment: dict[str, str] | None = None, flags: list[str] | None = None) -> None:
        self.data = data
        self.flags = flags or []
        self.mqtt_argument = mqtt_port
        self.environment = environment or {}
        self.process: subprocess.Popen[str] | None = None
        self.info: dict[str, Any] = {}
        self.log: list[str] = []

    def start(self) -> "Server":
        """Starts the program and waits until it says that it is ready."""
        arguments = ["serve", "--data-dir", str(self.data), "--https-port", "0", "--metrics-port", "0"]
        level = [] if "--log-level" in self.flags else ["--log-level", "warn"]
        arguments += ["--mqtt-port", str(self.mqtt_argument), *level, *self.flags]
        environment = {"HOME": str(self.data.parent), "PATH": os.environ["PATH"], **self.environment}
        self.process = subprocess.Popen(
            [str(binary()), *arguments], env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout, lines.put), daemon=True).start()
        reader = threading.Thread(target=self._read, args=(self.process.stderr, self.log.append), daemon=True)
        reader.start()
        try:
            line = lines.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            line = ""
        if " ready in " not in line:
            self.process.kill()
            reader.join(5)
            raise RuntimeError(f"the server did not become ready: {line!r}\n" + "\n".join(self.log[-20:]))
        self.info = json.loads((self.data / "server.json").read_text())
        return self

    @staticmethod
    def _read(stream: Any, put: Callable[[str], None]) -> None:
        for line in stream:
            put(line.rstrip("\n"))
        put("")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Asks it to stop, and expects that it does so well."""
        code = self._end(signal.SIGTERM)
        assert code == 0, f"the server ended with {code}\n" + "\n".join(self.log[-20:])

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None, "the server was never started"
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def url(self) -> str:
        return str(self.info["urls"]["resourceManager"])

    @property
    def https_port(self) -> int:
        return int(self.info["httpsPort"])

    @property
    def mqtt_port(self) -> int:
        return int(self.info["mqttPort"])

    @property
    def ca(self) -> str:
        return str(self.data / self.info["caFile"])

    @property
    def owner(self) -> dict[str, str]:
        """tenantId, subscriptionId, clientId, clientSecret."""
        return json.loads((self.data / "owner.json").read_text())

    def run(self, *arguments: str, profile: str = "az", variables: dict[str, str] | None = None) -> Output:
        """Runs a verb of the program against this server; `profile` names its sign-in."""
        return self._finish([str(binary()), *arguments], profile, variables)

    def _finish(self, command: list[str], profile: str, variables: dict[str, str] | None = None) -> Output:
        environment = {
            "HOME": str(self.data.parent), "PATH": os.environ["PATH"], "FERROHUB_DATA_DIR": str(self.data),
            "FERROHUB_CONFIG_DIR": str(self.data.parent / profile), **(variables or {}),
        }
        done = subprocess.run(
            command, env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS * 2
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def _sign_in(self, profile: str) -> None:
        """As the owner, unless the profile is signed in."""
        if not (self.data.parent / profile).exists():
            login = self.run("az", "login", profile=profile)
            assert login.code == 0, login.stderr

    def az(self, *arguments: str, profile: str = "az") -> Any:
        """Runs `ferrohub az` as the owner; it must succeed. Gives its JSON, if any."""
        self._sign_in(profile)
        done = self.run("az", *arguments, profile=profile)
        assert done.code == 0, f"az {' '.join(arguments)}: exit {done.code}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def paste(self, line: str, profile: str = "az") -> None:
        """Runs a line that the server printed as a person would: in bash, where `az` is `ferrohub az`. It must succeed."""
        self._sign_in(profile)
        done = self._finish(["bash", "-c", f'az() {{ "$FERROHUB" az "$@"; }}\n{line}'], profile, {"FERROHUB": str(binary())})
        assert done.code == 0, f"{line}: exit {done.code}\n{done.stdout}\n{done.stderr}"
