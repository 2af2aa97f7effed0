"""A headless Chromium, spoken to in the DevTools protocol over two pipes: Python's standard library is enough.

Messages are JSON that ends with a NUL byte, on the browser's descriptors 3 (to it) and 4 (from it). What the page logs, throws
and asks for is collected: a report does none of it.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
           "--force-device-scale-factor=1", "--lang=en"]


class Browser:
    """b = Browser(); b.open(path); b.evaluate("1 + 1"); b.close()"""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="netc-report-")
        to_read, self.to = os.pipe()
        self.source, from_write = os.pipe()
        command = 'exec "$0" "$@" 3<&%d 4>&%d' % (to_read, from_write)
        self.process = subprocess.Popen(["bash", "-c", command, PROGRAM, *OPTIONS, f"--user-data-dir={self.folder}/profile", "about:blank"],
                                        pass_fds=(to_read, from_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True,
                                        env=dict(os.environ, TMPDIR=self.folder))
        os.close(to_read)
        os.close(from_write)
        self.number, self.received, self.session = 0, b"", None
        self.events = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")

    def close(self):
        os.close(self.to)
        os.close(self.source)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # the group of this one browser, which it began
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self, seconds):
        """The next one, or None."""
        until = time.monotonic() + seconds
        while b"\0" not in self.received:
            if not select.select([self.source], [], [], max(0, until - time.monotonic()))[0]:
                return None
            piece = os.read(self.source, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            self.received += piece
        first, self.received = self.received.split(b"\0", 1)
        return json.loads(first)

    def call(self, method, seconds=60, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        while True:
            got = self.message(seconds)
            if got is None:
                raise RuntimeError(f"the browser did not answer {method}")
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']['message']}")
                return got["result"]
            self.events.append(got)

    # ---- a page ----

    def open(self, path, width=1280, height=900, dark=False, mobile=False):
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        self.media("", dark)
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        until = time.monotonic() + 30
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            got = self.message(until - time.monotonic())
            if got is None:
                raise RuntimeError("the page did not load")
            self.events.append(got)
        self.settle()

    def media(self, kind="", dark=False):
        self.call("Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def settle(self):
        """Until what was asked for is drawn: two frames."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def evaluate(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError(f"{expression[:200]}: {got['exceptionDetails'].get('exception', got['exceptionDetails']).get('description')}")
        return got["result"].get("value")

    def complaints(self):
        """What the page logged or threw, what it asked for beside itself."""
        self.settle()
        said = []
        for event in self.events:
            method, what = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                said.append(what["exceptionDetails"].get("exception", {}).get("description") or what["exceptionDetails"]["text"])
            elif method == "Runtime.consoleAPICalled":
                said.append(f"console.{what['type']}: {[a.get('value', a.get('description')) for a in what['args']]}")
            elif method == "Log.entryAdded":
                said.append(f"log: {what['entry']['text']}")
            elif method == "Network.requestWillBeSent" and what.get("type") != "Document":
                said.append(f"request: {what['request']['url'][:200]}")
        return said

    # ---- a hand ----

    def mouse(self, x, y, *kinds):
        for kind in kinds or ["mouseMoved"]:
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)
        self.settle()

    def click(self, x, y):
        self.mouse(x, y, "mouseMoved", "mousePressed", "mouseReleased")

    def key(self, key, code=None, text=None):
        more = {"text": text} if text else {}
        numbers = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36}
        for kind in ["keyDown", "keyUp"]:
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=numbers.get(key, 0), **more)
        self.settle()

    def screenshot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def pdf(self, path):
        data = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"]
        Path(path).write_bytes(base64.b64decode(data))
