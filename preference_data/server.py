"""Samples from an OpenAI-compatible server (vLLM, llama.cpp, Ollama, …) instead of a model in this process.

Only the completions endpoint is used: the prompt goes out as the renderer wrote it, so the lines come from what training and evaluation see.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

from npc_align.errors import UserError

_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)


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

    def sample(self, prompts: Sequence[str], request: dict[str, Any]) -> Iterator[list[tuple[str, bool]]]:
        """For each prompt, in order, its lines and whether each ended by itself rather than by the length limit.

        Args:
            prompts: rendered prompts.
            request: the request's knobs: n, temperature, top_p, max_tokens, seed.

        Raises:
            UserError: no answer after all attempts, or one that is none.
        """
        pool = ThreadPoolExecutor(self.in_flight)
        stopped = Event()
        try:
            asked = [pool.submit(self._ask, {**request, "model": self.model, "prompt": prompt}, stopped) for prompt in prompts]
            for answer in asked:
                yield answer.result()
        finally:
            # On an error or Ctrl-C nothing new is asked; what is under way ends with its answer or its timeout.
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, request: dict[str, Any], stopped: Event) -> list[tuple[str, bool]]:
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
        asked = urllib.request.Request(f"{self.url.rstrip('/')}/completions", body, headers)
        with urllib.request.urlopen(asked, timeout=self.timeout) as answer:
            return json.load(answer)


def _lines(answer: Any, count: int, url: str) -> list[tuple[str, bool]]:
    try:
        choices = sorted(answer["choices"], key=lambda choice: choice.get("index", 0))
        # Half a character comes over JSON as a lone surrogate, which no file can hold.
        lines = [(_text(choice["text"]), choice.get("finish_reason") == "stop") for choice in choices]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--server {url}: not an answer of /completions: {str(answer)[:200]}") from error
    if len(lines) != count:
        raise UserError(
            f"--server {url}: {len(lines)} lines instead of {count}; it may not know `n`, try --samples 1 with several --seed"
        )
    return lines


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"a line must be text, not {given!r}")
    return given.encode("utf-8", "replace").decode("utf-8").strip()
