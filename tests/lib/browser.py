"""Plays a browser at the sign-in pages: fills in the forms as they came, keeps cookies, posts answers on.

As a program, `python -m lib.browser URL` is what `BROWSER` may name; the environment says who signs in (FERROHUB_TEST_NAME and
FERROHUB_TEST_PASSWORD) and what the server's certificate is checked against (REQUESTS_CA_BUNDLE)."""

from __future__ import annotations

import os
import sys
import urllib.parse
from html.parser import HTMLParser

import requests


class Form(HTMLParser):
    """The last form of a page: where it is posted to, and what it brings back."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert values["method"] == "post", values
            self.action, self.fields, self.buttons = values["action"], {}, []
        elif tag == "input":
            self.fields[values["name"]] = values.get("value", "")
        elif tag == "button":
            self.buttons.append(values.get("value", ""))


class Browser:
    """A browser with cookies of its own."""

    def __init__(self, ca: str) -> None:
        self.session = requests.Session()
        self.session.verify = ca

    def open(self, url: str) -> requests.Response:
        return self.session.get(url, headers={"Accept": "text/html", "Sec-Fetch-Site": "none"}, allow_redirects=False, timeout=60)

    def submit(self, page: requests.Response, **filled: str) -> requests.Response:
        assert page.status_code == 200, f"{page.status_code}: {page.text}"
        form = Form(page.text)
        assert form.action, page.text
        url = urllib.parse.urljoin(page.url, form.action)
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        return self.session.post(url, data={**form.fields, **filled}, headers=headers, allow_redirects=False, timeout=60)

    def sign_in(self, url: str, name: str, password: str) -> requests.Response:
        return self.submit(self.open(url), username=name, password=password, step="password")


def main() -> None:
    browser = Browser(os.environ["REQUESTS_CA_BUNDLE"])
    answer = browser.sign_in(sys.argv[1], os.environ["FERROHUB_TEST_NAME"], os.environ["FERROHUB_TEST_PASSWORD"])
    # The client's own form, which the page posts on by itself.
    browser.submit(answer)


if __name__ == "__main__":
    main()
