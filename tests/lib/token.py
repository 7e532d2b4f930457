"""A PKCS#11 token: SoftHSM2 in a folder, judged by OpenSC's pkcs11-tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lib.shim import compile_shim

LABEL = "plant-token"
PIN = "8642"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


class Token:
    """A token of its own, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.tokens, self.drawer = folder / "tokens", folder / "drawer"
        self.tokens.mkdir(parents=True)
        self.conf = folder / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.module = next(path for path in MODULES if Path(path).exists())
        self.pin = folder / "pin"
        self.pin.write_text(f"{PIN}\n")
        self.pin.chmod(0o600)
        init = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "9753"]
        subprocess.run(init, check=True, capture_output=True, env=self.variables)

    def made_moody(self) -> "Mood":
        """From now on the server gets a library between, by which the token is full or hangs (`moody_token.c`)."""
        return Mood(self)

    @property
    def variables(self) -> dict[str, str]:
        """What SoftHSM needs in the environment."""
        return {"SOFTHSM2_CONF": str(self.conf), "PATH": "/usr/bin:/bin"}

    @property
    def environment(self) -> dict[str, str]:
        """What the server is told."""
        return {
            "SOFTHSM2_CONF": str(self.conf),
            "FERROHUB_PKCS11_MODULE": self.module,
            "FERROHUB_PKCS11_TOKEN": LABEL,
            "FERROHUB_PKCS11_PIN_FILE": str(self.pin),
        }

    def tool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        login = ["pkcs11-tool", "--module", self.module, "--token-label", LABEL, "--login", "--pin", PIN]
        return subprocess.run([*login, *arguments], capture_output=True, text=True, env=self.variables)

    def private_keys(self) -> list[dict[str, str]]:
        """The private keys as pkcs11-tool tells of them."""
        listed = self.tool("--list-objects", "--type", "privkey")
        assert listed.returncode == 0, listed.stderr
        keys: list[dict[str, str]] = []
        for line in listed.stdout.splitlines():
            if line.startswith("Private Key Object"):
                keys.append({"kind": line.split(";", 1)[-1].strip()})
            elif ":" in line and keys:
                name, value = line.split(":", 1)
                keys[-1][name.strip()] = value.strip()
        return keys

    def pull_out(self) -> None:
        self.tokens.rename(self.drawer)
        self.tokens.mkdir()

    def plug_in(self) -> None:
        self.tokens.rmdir()
        self.drawer.rename(self.tokens)


class Mood:
    """What the library between the server and the token does at the moment: nothing, or as told."""

    def __init__(self, token: Token) -> None:
        self.folder = token.tokens.parent / "mood"
        self.folder.mkdir()
        library = compile_shim(Path(__file__).resolve().parent.parent / "moody_token.c", self.folder)
        self.environment = {
            **token.environment, "FERROHUB_PKCS11_MODULE": library, "MOODY_MODULE": token.module, "MOODY_TOKEN": str(self.folder),
        }

    def set(self, mood: str) -> None:
        (self.folder / mood).touch()

    def end(self, mood: str) -> None:
        (self.folder / mood).unlink()
