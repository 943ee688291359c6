"""A headless Chromium, asked over a pipe: nothing to install beside the browser itself."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The whole of one answer, a page as PDF among them.
_CHUNK = 1 << 16


def program() -> str:
    """Where the browser is; the test is skipped, by its name, where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser on this machine: {', '.join(NAMES)}")
    return found


@dataclass
class Browser:
    """One page of a browser. `requests` are the addresses that it asked for, `said` its errors."""

    _to: int
    _from: int
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    _session: str = ""
    _number: int = 0
    _rest: bytes = b""
    _events: list[dict[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        """Open an empty page."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def show(self, file: Path, *, width: int, dark: bool = False, media: str = "screen") -> None:
        """Show a file on a screen of a width."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self._events.clear()
        self.ask("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._note(self._read())

    def run(self, script: str) -> Any:
        """Run a script in the page, whatever the page itself allows."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def pdf(self) -> bytes:
        """Print the page, as wide as its own rules say."""
        found = self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(found["data"])

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._read()
            if found.get("id") == self._number:
                assert "error" not in found, (method, found)
                return found["result"]
            self._note(found)

    def _note(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            return
        self._events.append(message)
        params = message.get("params", {})
        if message["method"] == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if message["method"] in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.said.append(json.dumps(params))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._from, _CHUNK)
            assert chunk, "the browser ended"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)


@contextmanager
def a_browser(folder: Path) -> Iterator[Browser]:
    """Start a browser that ends with the block; it reads and writes at its file descriptors 3 and 4."""
    its_input, our_output = os.pipe()
    our_input, its_output = os.pipe()
    options = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--hide-scrollbars", "--disable-background-networking", "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
    )  # fmt: skip
    line = f'exec "$0" "$@" 3<&{its_input} 4>&{its_output}'
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(
            ["bash", "-c", line, program(), *options],
            pass_fds=(its_input, its_output),
            stdin=subprocess.DEVNULL,
            stdout=nowhere,
            stderr=nowhere,
        )
    os.close(its_input)
    os.close(its_output)
    try:
        browser = Browser(our_output, our_input)
        browser.open()
        yield browser
    finally:
        os.close(our_output)  # it ends with its pipe
        os.close(our_input)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
