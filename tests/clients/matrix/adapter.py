"""The matrix's side of an adapter process: requests and answers, one a line. What a call
gave is a `Reply`, which holds what the client showed its user and nothing else."""

import itertools
import json
import re
import subprocess
import threading

# The longest that any request may take. Calls wait for three seconds at most.
ANSWER_SECONDS = 40


class Failed(Exception):
    """A scenario did not go as it should; the text says what came and what should."""


class Unsupported(Exception):
    """The client cannot do what the scenario asks for."""


class Adapter:
    """One adapter process. It ends when it is closed, or is killed."""

    def __init__(self, command, env, log):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, env=env, start_new_session=True
        )
        self.ids = itertools.count(1)
        self.pending = {}
        self.lock = threading.Lock()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # a line that a library printed
            with self.lock:
                pending = self.pending.pop(answer.get("id"), None)
            if pending:
                pending.give(answer)
        with self.lock:
            left, self.pending = list(self.pending.values()), {}
        for pending in left:
            pending.give({"raised": "the client's process has ended"})

    def start(self, op, **request):
        """Sends a request, and gives what its answer will be."""
        pending = Pending(next(self.ids))
        with self.lock:
            self.pending[pending.id] = pending
        message = json.dumps({"id": pending.id, "op": op, **request})
        try:
            self.process.stdin.write(message.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            pending.give({"raised": "the client's process has ended"})
        return pending

    def kill(self):
        """Kills the client and the processes that it has started, as a crash of its
        machine would."""
        import os
        import signal

        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            pass
        self.kill()


class Pending:
    """An answer that may not have come yet."""

    def __init__(self, number):
        self.id = number
        self.event = threading.Event()
        self.answer = None

    def give(self, answer):
        self.answer = answer
        self.event.set()

    def wait(self, seconds=ANSWER_SECONDS):
        if not self.event.wait(seconds):
            raise Failed(f"the client gave no answer within {seconds} s")
        if "unsupported" in self.answer:
            raise Unsupported(self.answer["unsupported"])
        return self.answer

    def value(self):
        answer = self.wait()
        if "raised" in answer:
            raise Failed(f"the client raised {shortened(answer['raised'])}")
        return answer["value"]


class Reply:
    """What the client's user sees of one call."""

    def __init__(self, call, answer):
        self.call = call
        value = answer.get("value") or {}
        self.raised = answer.get("raised")
        self.data = answer.get("data")
        self.text = value.get("text") or ""
        self.structured = value.get("structured")
        self.is_error = value.get("is_error")

    @property
    def failed(self):
        return self.raised is not None or bool(self.is_error)

    @property
    def seen(self):
        """Everything that the user sees, as one text."""
        parts = [self.raised or "", self.text]
        for part in (self.data, self.structured):
            if part is not None:
                parts.append(json.dumps(part, ensure_ascii=False))
        return "\n".join(part for part in parts if part)

    @property
    def content(self):
        """The result as data: the structured content, or the text where the client shows
        no more and the text is JSON."""
        if isinstance(self.structured, dict):
            return self.structured
        try:
            parsed = json.loads(self.text)
            return parsed if isinstance(parsed, dict) else {}
        except ValueError:
            return self._json_in_text()

    def _json_in_text(self):
        """The JSON object that the text ends with, if it does."""
        start = self.text.find("{")
        try:
            return json.loads(self.text[start:]) if start >= 0 else {}
        except ValueError:
            return {}

    def field(self, name):
        """The field `name` of the result, as far as the client shows it."""
        if name in self.content:
            return self.content[name]
        found = re.search(rf"\b{name}\W{{1,3}}([\w.:-]+)", self.text)
        if not found:
            raise Failed(f"{self.call}: no {name} in {shortened(self.seen)}")
        try:
            return json.loads(found.group(1))
        except ValueError:
            return found.group(1).rstrip(".,;:")

    def has(self, name):
        try:
            return self.field(name) is not None
        except Failed:
            return False

    def expect(self, **fields):
        """Checks that the call succeeded and that its result has these fields."""
        if self.failed:
            raise Failed(f"{self.call} failed: {shortened(self.seen)}")
        for name, value in fields.items():
            found = self.field(name)
            if found != value:
                raise Failed(f"{self.call}: {name} is {found!r}, not {value!r}")
        return self

    def expect_error(self, code, *words, retryable):
        """Checks that the user sees that the call failed, why, and whether to repeat it."""
        seen = self.seen
        if not self.failed and self.is_error is not None:
            raise Failed(f"{self.call} should fail, and gave {shortened(seen)}")
        codes = [code] if isinstance(code, str) else code
        if not any(code in seen for code in codes):
            raise Failed(f"{self.call}: no {' or '.join(codes)} in {shortened(seen)}")
        for word in words:
            if word not in seen:
                raise Failed(f"{self.call}: no {word!r} in {shortened(seen)}")
        if shown_retryable(seen) is not retryable:
            raise Failed(f"{self.call}: not shown that retryable is {retryable}: {shortened(seen)}")
        return self


def shown_retryable(text):
    """Whether a text says that an error is retryable; None if it does not say."""
    if re.search(r"not retryable|retryable\W{1,4}false", text):
        return False
    return True if "retryable" in text else None


def shortened(text, most=400):
    text = str(text)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
