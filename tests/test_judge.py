"""Every operation of the management SDKs, generated from the installed packages: called, and answered well or named as not built.

What is not built is the table of `docs/howto/not-built.md`, compared in both directions. After something was built, or a package
changed, `FERROHUB_JUDGE_WRITE=1 cargo xtask test-foreign test_judge.py` writes the table anew; reasons that are there stay.
"""

from __future__ import annotations

import os

import pytest

from lib.judge import PACKAGES, Judge, Verdict
from lib.plant import build
from lib.sdk import Package
from lib.server import ROOT, Server

DOCUMENT = ROOT / "docs" / "howto" / "not-built.md"
START, END = "<!-- judged: made by tests/test_judge.py -->", "<!-- /judged -->"
Listed = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def verdicts(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[Package, list[Verdict]]:
    """One installation for each package, as one would break what the other stands on."""
    found = {}
    for number, package in enumerate(PACKAGES):
        plant = build(server, f"judge{number}")
        found[package] = Judge(package, plant, tmp_path_factory.mktemp("judge")).run()
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.label)
def test_every_operation_is_called_and_answered(verdicts: dict[Package, list[Verdict]], package: Package) -> None:
    judged = verdicts[package]
    working = [one for one in judged if one.built and not one.fault]
    print(f"{package.label}: {len(working)} of {len(judged)} operations work")
    faults = [one.fault for one in judged if one.fault]
    assert not faults, "\n".join(faults)


def test_what_is_not_built_is_on_the_list(verdicts: dict[Package, list[Verdict]]) -> None:
    missing = [one for judged in verdicts.values() for one in judged if not one.built]
    listed = _read()
    if os.environ.get("FERROHUB_JUDGE_WRITE"):
        _write(missing, listed)
        return
    unlisted = [_row(one, listed) for one in missing if _key(one) not in listed]
    keys = {_key(one) for one in missing}
    overtaken = [f"{package} {operation}" for package, operation in listed if (package, operation) not in keys]
    said = [f"{DOCUMENT.relative_to(ROOT)} lacks these lines:", *unlisted] if unlisted else []
    said += [f"{DOCUMENT.relative_to(ROOT)}: delete the lines of what works now:", *overtaken] if overtaken else []
    assert not said, "\n".join([*said, "FERROHUB_JUDGE_WRITE=1 writes the table anew."])
    assert all(listed.values()), "a line without a reason"


def _key(verdict: Verdict) -> tuple[str, str]:
    return verdict.operation.package.label, verdict.operation.name


def _row(verdict: Verdict, reasons: Listed) -> str:
    operation = verdict.operation
    package, name = _key(verdict)
    reason = reasons.get((package, name)) or verdict.message.split(" It has: ")[0].replace("|", "/")
    path = operation.path.split("/providers/")[-1]
    return f"| {package} | `{name}` | `{operation.verb} {path}` | {operation.version} | {reason} |"


def _read() -> Listed:
    text = DOCUMENT.read_text()
    rows = text[text.index(START):text.index(END)].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| ")][1:]
    return {(cell[0], cell[1].strip("`")): cell[4] for cell in cells}


def _write(missing: list[Verdict], reasons: Listed) -> None:
    text = DOCUMENT.read_text()
    head = ["| Package | Operation | Request | api-version | Why |", "|---|---|---|---|---|"]
    rows = [_row(one, reasons) for one in sorted(missing, key=lambda one: (PACKAGES.index(one.operation.package), one.operation.name))]
    table = "\n".join([START, *head, *rows, ""])
    DOCUMENT.write_text(text[:text.index(START)] + table + text[text.index(END):])
