"""Signing in by a browser: the real azure-cli, unmodified, and what a browser must not be able to do."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from lib.browser import Browser
from lib.plant import LOCATION
from lib.server import Server
from test_az import Az
from test_people_az import PASSWORD, fresh

NAME = "bea@plant.example"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def owner(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`az` of the owner, who made Bea a Reader of a group."""
    folder = tmp_path_factory.mktemp("signin")
    az = fresh(server, folder)
    known = server.owner
    az("login", "--service-principal", "-u", known["clientId"], "-p", known["clientSecret"], "--tenant", known["tenantId"])
    group = az("group", "create", "--name", "signin-rg", "--location", LOCATION)["id"]
    az("ad", "user", "create", "--display-name", "Bea", "--user-principal-name", NAME, "--password", PASSWORD)
    az("role", "assignment", "create", "--assignee", NAME, "--role", "Reader", "--scope", group)
    yield az
    shutil.rmtree(folder, ignore_errors=True)


def test_az_signs_in_by_a_browser(owner: Az, server: Server, tmp_path: Path) -> None:
    az = fresh(server, tmp_path)
    script = tmp_path / "browser"
    # az waits until what it starts has ended, and answers at its port afterwards: so a browser does not wait for its page.
    run = f"cd {shlex.quote(str(HERE))} && {shlex.quote(sys.executable)} -m lib.browser"
    script.write_text(f"#!/bin/sh\n{run} \"$1\" >{shlex.quote(str(tmp_path / 'browser.log'))} 2>&1 &\n")
    script.chmod(0o755)
    az.environment |= {"BROWSER": f"{script} %s", "FERROHUB_TEST_NAME": NAME, "FERROHUB_TEST_PASSWORD": PASSWORD}
    listed = az("login", "--tenant", server.owner["tenantId"])
    assert [one["user"] for one in listed] == [{"name": NAME, "type": "user"}]
    assert az("group", "show", "--name", "signin-rg")["name"] == "signin-rg"
    # A token of another service comes by the refresh token.
    assert az("ad", "signed-in-user", "show")["userPrincipalName"] == NAME
    owner("rest", "--method", "post", "--url", f"{server.url}/graph/v1.0/users/{NAME}/revokeSignInSessions", "--resource", f"{server.url}/graph")
    refused = az.run("group", "show", "--name", "signin-rg")
    assert refused.code != 0, "revoked"


def test_a_code_goes_nowhere_else(server: Server) -> None:
    browser = Browser(server.ca)
    asks = "response_type=code&scope=openid&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    cli = "client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46"
    url = f"{server.url}/organizations/oauth2/v2.0/authorize"
    for place in ["https://evil.example/", "http://localhost.evil.example:1", "javascript:alert(1)", "http://localhost:1/%0d%0aX:y"]:
        page = browser.session.get(url + f"?{cli}&{asks}", params={"redirect_uri": place}, allow_redirects=False, timeout=60)
        assert page.status_code == 400 and "location" not in page.headers, f"{place}: {page.status_code} {page.headers}"
        assert "AADSTS50011" in page.text and "<script" not in page.text, page.text
    page = browser.open(f"{url}?{cli}&{asks}&redirect_uri=http%3A%2F%2Flocalhost%3A1")
    assert page.status_code == 200 and "frame-ancestors 'none'" in page.headers["content-security-policy"]
    stranger = requests.post(page.url, data={"username": NAME, "password": PASSWORD}, verify=server.ca, timeout=60)
    assert stranger.status_code == 400, "a form of no browser"
    for headers in [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]:
        forged = browser.session.post(f"{server.url}/organizations/oauth2/v2.0/logout", headers=headers, timeout=60)
        assert forged.status_code == 403, headers


def test_az_signs_in_by_a_code(owner: Az, server: Server, tmp_path: Path) -> None:
    az = fresh(server, tmp_path)
    arguments = [az.program, "login", "--use-device-code", "--tenant", server.owner["tenantId"]]
    with subprocess.Popen(arguments, env=az.environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr and running.stdout
        told = ""
        while "enter the code" not in told:
            line = running.stderr.readline()
            assert line, f"az ended: {told}"
            told += line
        found = re.search(r"open the page (\S+) and enter the code (\S+)", told)
        assert found, told
        browser = Browser(server.ca)
        page = browser.submit(browser.open(found[1]), step="code", code=found[2])
        page = browser.submit(page, username=NAME, password=PASSWORD, step="password")
        assert "Microsoft Azure CLI" in page.text and found[2] in page.text, page.text
        said = browser.submit(page, step="approve")
        assert "signed in" in said.text, said.text
        out, rest = running.communicate(timeout=120)
    assert running.returncode == 0, f"{told}{rest}"
    assert [one["user"] for one in json.loads(out)] == [{"name": NAME, "type": "user"}]
    assert az("group", "show", "--name", "signin-rg")["name"] == "signin-rg"
