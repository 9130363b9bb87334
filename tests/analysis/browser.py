"""Headless Chromium through its DevTools pipe: what a reader's mouse, keyboard, phone and printer would find.

The pipe (two file descriptors, JSON messages that end with a zero byte) needs no package and no port.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")  # that Chromium has on the path
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
MISSING = f"none of {', '.join(NAMES)} is on the path (install one: apt-get install chromium)"
ANSWER_S = 40  # a busy machine starts a browser slowly
COMMANDS_FD, ANSWERS_FD = 3, 4  # as Chromium reads and writes them


class Browser:
    """One tab. `errors` are the console errors and exceptions of every page it opened."""

    def __init__(self, profile: Path):
        # Numbers that cannot be those of the pipe in the browser.
        commands, self._write = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in os.pipe())
        self._read, answers = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in os.pipe())

        def connect() -> None:
            os.dup2(commands, COMMANDS_FD)
            os.dup2(answers, ANSWERS_FD)

        flags = ["--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--remote-debugging-pipe"]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to sandbox root
        self._process = subprocess.Popen(
            [str(CHROMIUM), *flags, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,
            pass_fds=(COMMANDS_FD, ANSWERS_FD),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._sent, self._buffer, self._session = 0, b"", ""
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # a page without a window gets no focus events

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one DevTools command; events that come before it are looked at for errors."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._sent:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def open(self, page: Path) -> None:
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + ANSWER_S
        while self.run("document.readyState") != "complete" or self.run("location.href") != page.as_uri():
            assert time.monotonic() < deadline, f"{page} was not loaded"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def resize(self, width: int, height: int, phone: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def point(self, x: float, y: float, kind: str = "mouseMoved") -> None:
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key: str) -> None:
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            named = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
            self.call("Input.dispatchKeyEvent", type=kind, **named, **text)

    def media(self, scheme: str = "light", media: str = "screen") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], ANSWER_S)
            assert ready, f"Chromium did not answer within {ANSWER_S} s"
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "Chromium ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(str(params["args"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
