"""Samples from an OpenAI-compatible server (vLLM, llama.cpp, Ollama, …) instead of a model in this process.

Only the completions endpoint is used: the prompt goes out as the renderer wrote it, so the lines come from what training and evaluation see.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from npc_align.errors import UserError

# Environment variable with the server's key, where it wants one: a command line can be read by others.
API_KEY = "NPC_PREF_API_KEY"
_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)

Lines = list[tuple[str, bool]]
Take = Callable[[int, Lines], None]
_Answers = SimpleQueue[tuple[int, Lines | BaseException]]


@dataclass(frozen=True)
class Server:
    """Where and how to ask.

    Attributes:
        url: up to and without /completions, e.g. http://localhost:8000/v1.
        model: the name under which the server knows the model.
        in_flight: requests at a time, at most.
        attempts: tries of one request before giving up; the pause doubles from `pause` seconds.
        timeout: seconds that one answer may take.
    """

    url: str
    model: str
    in_flight: int = 8
    attempts: int = 5
    pause: float = 1.0
    timeout: float = 300.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise UserError(f"--server {self.url!r}: must start with http:// or https://, such as http://localhost:8000/v1")

    def sample(self, prompts: Sequence[str], request: dict[str, Any], take: Take) -> None:
        """Hands each prompt's lines, and whether each ended by itself rather than by the length limit, to `take` as the answers come.

        On Ctrl-C and on errors it doesn't wait for the answers under way: their threads end with the program. Those that are in are handed
        on before it ends.

        Args:
            prompts: rendered prompts.
            request: the request's knobs: n, temperature, top_p, max_tokens, seed.
            take: called in this thread with a prompt's place and its lines.

        Raises:
            UserError: no answer after all attempts, or one that is none.
        """
        waiting: SimpleQueue[tuple[int, str]] = SimpleQueue()
        answers: _Answers = SimpleQueue()
        stopped = Event()
        for asked in enumerate(prompts):
            waiting.put(asked)
        for _ in range(min(self.in_flight, len(prompts))):
            # An executor's threads would be waited for at the end of the program, and an answer can take minutes.
            Thread(target=self._work, args=(request, waiting, answers, stopped), daemon=True).start()
        try:
            for _ in prompts:
                place, answer = _patiently(answers)
                if isinstance(answer, BaseException):
                    raise answer
                take(place, answer)
        finally:
            stopped.set()
            with suppress(Empty):
                while True:
                    place, answer = answers.get_nowait()
                    if not isinstance(answer, BaseException):
                        take(place, answer)

    def _work(self, request: dict[str, Any], waiting: SimpleQueue[tuple[int, str]], answers: _Answers, stopped: Event) -> None:
        with suppress(Empty):
            while not stopped.is_set():
                place, prompt = waiting.get_nowait()
                try:
                    answers.put((place, self._ask({**request, "model": self.model, "prompt": prompt}, stopped)))
                except BaseException as error:  # raised again where it is read
                    answers.put((place, error))

    def _ask(self, request: dict[str, Any], stopped: Event) -> Lines:
        """The lines of a prompt. Servers that know no `n` give one at a time, so the rest is asked for with other seeds."""
        lines: Lines = []
        while len(lines) < request["n"]:
            rest = {**request, "n": request["n"] - len(lines), "seed": request["seed"] + len(lines)}
            lines += self._answer(rest, stopped)
        return lines

    def _answer(self, request: dict[str, Any], stopped: Event) -> Lines:
        for attempt in range(1, self.attempts + 1):
            try:
                return _lines(self._post(request), request["n"], self.url)
            except urllib.error.HTTPError as error:
                told = f"{error.code} {error.reason}: {error.read()[:300].decode('utf-8', 'replace')}"
                if error.code not in _RETRIED:
                    raise UserError(f"--server {self.url}: {told}") from error
            except (OSError, http.client.HTTPException) as error:
                told = str(error) or type(error).__name__
            except ValueError as error:
                raise UserError(
                    f"--server {self.url}: its answer is no JSON ({error}); is it an OpenAI-compatible server?"
                ) from error
            if stopped.wait(self.pause * 2 ** (attempt - 1) if attempt < self.attempts else 0):
                break
        raise UserError(
            f"--server {self.url}: no answer in {self.attempts} attempts ({told}); what was sampled is kept, run it again"
        )

    def _post(self, request: dict[str, Any]) -> Any:
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/json"}
        if API_KEY in os.environ:
            headers["Authorization"] = f"Bearer {os.environ[API_KEY]}"
        asked = urllib.request.Request(f"{self.url.rstrip('/')}/completions", body, headers)
        with urllib.request.urlopen(asked, timeout=self.timeout) as answer:
            return json.load(answer)


def _patiently(answers: _Answers) -> tuple[int, Lines | BaseException]:
    while True:
        with suppress(Empty):  # on Windows, Ctrl-C doesn't end a wait without a limit
            return answers.get(timeout=1)


def _lines(answer: Any, count: int, url: str) -> Lines:
    try:
        choices = sorted(answer["choices"], key=lambda choice: choice.get("index", 0))
        # Half a character comes over JSON as a lone surrogate, which no file can hold.
        lines = [(_text(choice["text"]), choice.get("finish_reason") == "stop") for choice in choices]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--server {url}: not an answer of /completions: {str(answer)[:200]}") from error
    if not 1 <= len(lines) <= count:
        raise UserError(f"--server {url}: {len(lines)} lines where {count} were asked for")
    return lines


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"a line must be text, not {given!r}")
    return given.encode("utf-8", "replace").decode("utf-8").strip()
