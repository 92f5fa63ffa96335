"""A headless Chromium for tests of pages, driven over its DevTools pipe; it reaches no network.

The browser is found on the machine (the Debian package `chromium`). axe-core, which looks for what
keeps people from a page, comes with the package axe-playwright-python, of which no more is used.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

# Messages of the DevTools protocol: JSON of whatever kind.
Json = dict[str, Any]
Media = Literal["screen", "print"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SWITCHES = (
    "--headless",
    "--no-sandbox",  # root may not have one, and the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
#: A sheet of A4 in inches, and what of it is within margins of 12 mm, in pixels of CSS.
A4 = (8.27, 11.69)
A4_WIDTH = 703


def is_required() -> bool:
    """Whether tests must fail, not skip, where there is no browser."""
    return bool(os.environ.get("MMLAB_REQUIRE_BROWSER")) or os.environ.get("CI", "") == "true"


def find_browser() -> str | None:
    """The program of a browser; None if this machine has none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def axe_script() -> Path | None:
    """The script of axe-core; None where the package that has it is not installed."""
    # Found without importing it: it would ask for Playwright.
    spec = importlib.util.find_spec("axe_playwright_python")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((Path(folder) / "axe.min.js" for folder in folders), None)


@dataclass
class Browser:
    """A browser with one empty tab."""

    to: BinaryIO
    back: BinaryIO
    session: str = ""
    number: int = 0
    events: list[Json] = field(default_factory=list)

    def open(self, page: Path, width: int, media: Media = "screen", scheme: str = "light") -> None:
        """Load a file at this width, as a screen or a sheet shows it; `events` begin anew."""
        self.events.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()

    def evaluate(self, script: str) -> Any:
        """The value of an expression of the page; a promise is waited for."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def screenshot(self, *, is_whole: bool = True) -> bytes:
        """A PNG of the whole page, or of what is seen first."""
        done = self.call("Page.captureScreenshot", captureBeyondViewport=is_whole)
        return base64.b64decode(done["data"])

    def printed(self) -> bytes:
        """The page as a PDF in A4, with its colours."""
        width, height = A4
        done = self.call(
            "Page.printToPDF", paperWidth=width, paperHeight=height, printBackground=True
        )
        return base64.b64decode(done["data"])

    def violations(self) -> list[str]:
        """What axe-core finds, each with the first element that it is about."""
        script = axe_script()
        assert script is not None, "axe-core is installed"
        # Over a gradient it would not tell contrast; what is shaded is an edge alone.
        plain = "const s = new CSSStyleSheet(); s.replaceSync('.scroll{background:none!important}')"
        self.evaluate(f"{plain}; document.adoptedStyleSheets = [s]; 0")
        self.evaluate(script.read_text(encoding="utf-8") + "; 0")
        found = self.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]

    def messages(self) -> list[str]:
        """What the page wrote to the console, threw, or was kept from doing."""
        told = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(one["params"]) for one in self.events if one["method"] in told]

    def requests(self) -> list[str]:
        """The addresses that the page asked for; pictures inside it are none."""
        sent = (one for one in self.events if one["method"] == "Network.requestWillBeSent")
        urls = (one["params"]["request"]["url"] for one in sent)
        return [url for url in urls if not url.startswith("data:")]

    def call(self, method: str, **parameters: object) -> Json:
        """Send a command and wait for its answer."""
        self.number += 1
        message: Json = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                result: Json = answer["result"]
                return result

    def _read(self) -> Json:
        parts = bytearray()
        while (byte := self.back.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has ended")
            parts += byte
        message: Json = json.loads(parts)
        if "method" in message:
            self.events.append(message)
        return message


@contextmanager
def running_browser(program: str) -> Iterator[Browser]:
    """A browser with a profile of its own, which is gone at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process, to, back = _start(program, folder)
        try:
            browser = Browser(to, back)
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
            browser.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                browser.call(f"{domain}.enable")
            yield browser
        finally:
            with suppress(OSError):
                to.close()
            back.close()
            process.terminate()
            process.wait(timeout=20)


def _start(program: str, folder: str) -> tuple[subprocess.Popen[bytes], BinaryIO, BinaryIO]:
    """The program, and the ends of its pipe: what it is told, and what it tells."""
    its_input, to = os.pipe()
    back, its_output = os.pipe()
    switches = [*_SWITCHES, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _PIPED, str(its_input), str(its_output), program, *switches],
        pass_fds=(its_input, its_output),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8"},
    )
    os.close(its_input)
    os.close(its_output)
    return process, os.fdopen(to, "wb"), os.fdopen(back, "rb")


#: Becomes a program that reads at 3 and writes at 4, whatever the numbers of the pipe's ends.
_PIPED = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for place, end in enumerate(ends, start=3):
    os.dup2(end, place)
os.execvp(sys.argv[3], sys.argv[3:])
"""
