"""A headless Chromium for tests, driven by the DevTools protocol over pipes (no driver, no network)."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)


class Page:
    """A page in a browser of its own, which can connect to this computer only."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 860) -> None:
        browser_in, self._out = os.pipe()
        self._in, browser_out = os.pipe()

        def pipes() -> None:  # the browser reads from 3 and writes to 4
            ends = os.dup(browser_in), os.dup(browser_out)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = [str(BROWSER), *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank"]
        self._process = subprocess.Popen(
            command, preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(browser_in)
        os.close(browser_out)
        self._numbers, self._rest, self._session = itertools.count(1), b"", ""
        self.events: list[dict[str, Any]] = []
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            reply = self._receive(deadline)
            if reply.get("id") == number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return dict(reply["result"])
            if "method" in reply:
                self.events.append(reply)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not respond")
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser ended")
            self._rest += chunk
        line, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(line))

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def open_anew(self, url: str) -> None:
        """Open a page as a first visitor sees it, whatever was done to the one before."""
        self.events.clear()
        self.send("Emulation.clearDeviceMetricsOverride")
        self.send("Storage.clearDataForOrigin", origin=url.rstrip("/"), storageTypes="local_storage")
        self.open(url)

    def run(self, script: str) -> Any:
        """Evaluate an expression; promises are awaited."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", result))
        return result["result"].get("value")

    def until(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"never true: {condition}; page: {self.run('document.body.innerText')[:500]}"
                )
            time.sleep(0.05)

    def key(self, key: str, code: str = "", number: int = 0, shift: bool = False) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=code or key,
                windowsVirtualKeyCode=number,
                modifiers=8 * shift,
            )

    def choose(self, field: str, value: str) -> None:
        """Choose a value of a field, as a user does."""
        self.run(
            f"(() => {{ const field = document.getElementById('{field}'); field.value = '{value}';"
            " field.dispatchEvent(new Event('input', { bubbles: true }));"
            " field.dispatchEvent(new Event('change', { bubbles: true })); })()"
        )

    def set_files(self, field: str, *files: Path) -> None:
        """Choose files in a file field."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=f"#{field}")["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(each) for each in files])

    def text(self, field: str) -> str:
        """The text of an element."""
        return str(self.run(f"document.getElementById('{field}').textContent"))

    def image(self, file: Path, width: int = 0, height: int = 0, mobile: bool = False) -> None:
        """Save a screenshot; of the whole page if no height is given."""
        if width:
            self.send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height or 800,
                deviceScaleFactor=1,
                mobile=mobile,
            )
        time.sleep(0.4)
        data = self.send("Page.captureScreenshot", captureBeyondViewport=not height)["data"]
        file.write_bytes(base64.b64decode(data))

    def errors(self) -> list[str]:
        """Errors that the page or the browser has logged."""
        errors = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                errors.append(str(params["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] == "error":
                errors.append(str(params["args"]))
        return errors
