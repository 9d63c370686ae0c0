"""Headless Chromium, driven by its own protocol over two pipes."""

import base64
import json
import mimetypes
import os
import subprocess
import time

mimetypes.add_type("text/javascript", ".mjs")


class Chromium:
    """A browser with one page."""

    def __init__(self, program, profile):
        self._ours, theirs_out = os.pipe()
        theirs_in, self._to = os.pipe()

        def connect():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        flags = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
        )
        self._process = subprocess.Popen(
            [program, *flags, f"--user-data-dir={profile}", "--window-size=390,844"],
            preexec_fn=connect,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in), os.close(theirs_out)
        self._buffer, self._n, self._session = b"", 0, None
        self._stand_in, self.asked_of_others = {}, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        answer = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]

    def _send(self, method, params):
        self._n += 1
        message = {"id": self._n, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        text = memoryview(json.dumps(message).encode() + b"\0")
        while text:
            text = text[os.write(self._to, text) :]
        return self._n

    def _receive(self):
        while b"\0" not in self._buffer:
            chunk = os.read(self._ours, 2**20)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def ask(self, method, **params):
        number = self._send(method, params)
        while True:
            answer = self._receive()
            if answer.get("method") == "Fetch.requestPaused":
                self._answer_for_another(answer["params"])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def stand_in(self, address, folder):
        """Answer what a page asks of `address`, another machine, from a folder."""
        self._stand_in[address] = folder
        self.ask("Fetch.enable", patterns=[{"urlPattern": f"{address}*"}])

    def _answer_for_another(self, paused):
        url = paused["request"]["url"]
        self.asked_of_others.append(url)
        (address,) = (known for known in self._stand_in if url.startswith(known))
        path = self._stand_in[address] / url.removeprefix(address)
        headers = {
            "Content-Type": mimetypes.guess_type(path)[0],
            "Access-Control-Allow-Origin": "*",
        }
        answer = {
            "requestId": paused["requestId"],
            "responseCode": 200,
            "responseHeaders": [{"name": k, "value": v} for k, v in headers.items()],
            "body": base64.b64encode(path.read_bytes()).decode(),
        }
        self._send("Fetch.fulfillRequest", answer)

    def value(self, expression):
        options = {"returnByValue": True, "awaitPromise": True}
        found = self.ask("Runtime.evaluate", expression=expression, **options)
        return found["result"].get("value")

    def wait_for(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not (found := self.value(expression)):
            assert time.monotonic() < end, self.value("document.body.innerText")
            time.sleep(0.1)
        return found

    def click(self, selector):
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        x, y = self.value(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask(
                "Input.dispatchMouseEvent",
                **{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1},
            )

    def close(self):
        self._process.terminate()
        self._process.wait()
        os.close(self._ours), os.close(self._to)
