"""Chromium for tests that look at a page."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """Return Chromium's program."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """Chromium without a window, driven through its own debugging protocol."""

    def __init__(self, folder: Path) -> None:
        from websockets.sync.client import connect

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--window-size=1400,1000", "about:blank"]
        program = find_browser()
        assert program is not None
        self.process = subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ready, deadline = folder / "DevToolsActivePort", time.monotonic() + 120
        while not ready.is_file() or not ready.read_text().strip():
            assert time.monotonic() < deadline, "Chromium does not answer"
            time.sleep(0.2)
        port = ready.read_text().splitlines()[0]
        pages = requests.get(f"http://127.0.0.1:{port}/json", timeout=30).json()
        target = next(page for page in pages if page["type"] == "page")
        self.socket = connect(target["webSocketDebuggerUrl"], max_size=None)
        self.number = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=120))
            if answer.get("id") == self.number:
                return answer["result"]

    def evaluate(self, expression: str) -> str:
        """Evaluate JavaScript on the page and return its value as text."""
        found = self.call("Runtime.evaluate", expression=expression)
        return str(found["result"].get("value", ""))

    def text(self) -> str:
        """Return the text that the page shows."""
        return self.evaluate("document.body.innerText")

    def html(self) -> str:
        """Return the whole page as it is now."""
        return self.evaluate("document.documentElement.outerHTML")

    def fill(self, **values: str) -> None:
        """Fill in fields of a form by their names."""
        for name, value in values.items():
            self.evaluate(f"document.querySelector('[name={name}]').value = {json.dumps(value)}")

    def screenshot(self, path: Path) -> None:
        """Keep what the page looks like."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser."""
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)
