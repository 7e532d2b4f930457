"""What a management SDK offers, read from the installed package: every operation with its verb, path and api-version."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator

from lib.server import ROOT


@dataclass(frozen=True)
class Package:
    """A distribution at a version, and the client class in it."""

    distribution: str
    version: str
    client: str

    @property
    def label(self) -> str:
        return f"{self.distribution.removeprefix('azure-mgmt-')} {self.version}"

    def load(self) -> ModuleType:
        """The package under a name of its own, so that two versions of one can be had at once."""
        name = self.distribution.rsplit("-", 1)[1]
        alias = f"judged_{name}_{self.version.replace('.', '_')}"
        if alias in sys.modules:
            return sys.modules[alias]
        folder = folder_of(self) / "azure" / "mgmt" / name
        spec = importlib.util.spec_from_file_location(alias, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec and spec.loader, f"{self.label} is not at {folder}; 'cargo xtask test-foreign' installs it"
        module = importlib.util.module_from_spec(spec)
        sys.modules[alias] = module
        spec.loader.exec_module(module)
        return module


def folder_of(package: Package) -> Path:
    """Where xtask installs a judged package (`requirements-judged.txt`)."""
    folder = Path(os.environ.get("FERROHUB_TEST_JUDGED", ROOT / "target" / "foreign" / "judged"))
    return folder / f"{package.distribution}-{package.version}"


@dataclass(frozen=True)
class Operation:
    """One method of an operation group."""

    package: Package
    group: str
    method: str
    verb: str
    path: str
    version: str
    call: Callable[..., Any]

    @property
    def name(self) -> str:
        return f"{self.group}.{self.method}"

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """What must be given."""
        signature = inspect.signature(self.call)
        return [one for one in signature.parameters.values() if one.default is one.empty and one.kind is not one.VAR_KEYWORD]

    @property
    def depth(self) -> int:
        """How far below the subscription it acts."""
        return self.path.count("/")


def operations(package: Package, client: Any) -> list[Operation]:
    """Every public operation of every group of `client`."""
    groups = {name: getattr(client, name) for name in dir(client) if not name.startswith("_")}
    ours = package.load().__name__
    return [
        operation for name, holder in groups.items() if type(holder).__module__.startswith(f"{ours}.")
        for operation in _of_group(package, name, holder)
    ]


def _of_group(package: Package, group: str, holder: Any) -> Iterator[Operation]:
    for method in vars(type(holder)):
        if method.startswith("_") or not callable(getattr(holder, method)):
            continue
        call = getattr(holder, method)
        builder = _builder(holder, method)
        assert builder, f"{package.label} {group}.{method} builds no request that is known"
        text = inspect.getsource(builder)
        verb = re.search(r'HttpRequest\(\s*method="(\w+)"', text)
        path = re.search(r'_url = (?:kwargs\.pop\(\s*"template_url",)?\(?\s*"([^"]+)"', text)
        version = re.search(r'"(\d{4}-\d\d-\d\d(?:-preview)?)"', text)
        assert verb and path and version, f"{package.label} {group}.{method}: its request is not readable\n{text}"
        yield Operation(package, group, method, verb[1], path[1], version[1], call)


def _builder(holder: Any, method: str) -> Callable[..., Any] | None:
    """The function that builds the request of a method, which calls it itself or through its `_initial`."""
    function = inspect.unwrap(vars(type(holder))[method])
    names = re.findall(r"\b(build_\w+_request)\(", inspect.getsource(function))
    if not names:
        initial = f"_{method.removeprefix('begin_')}_initial"
        below = vars(type(holder)).get(initial)
        names = re.findall(r"\b(build_\w+_request)\(", inspect.getsource(inspect.unwrap(below))) if below else []
    return getattr(sys.modules[type(holder).__module__], names[0]) if names else None
