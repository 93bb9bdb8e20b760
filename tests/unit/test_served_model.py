"""npc-pref generate --server: what is asked of an OpenAI-compatible server, what becomes of its answers, and of its failures."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.errors import UserError
from npc_align.prompt import render
from preference_data import generate, server
from preference_data.cli import main
from preference_data.store import NewCandidate
from preference_data.store_file import create_store, open_store


class Fake:
    """A server that answers every prompt with numbered lines, after as many failures as it is told to give first."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.failures: list[int] = []
        self.answer: Any = None
        self.most_lines = 8  # in one answer, whatever `n` asks for
        self.before_answer: Callable[[int], None] = lambda number: None
        self.keys: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def respond(self, request: dict[str, Any]) -> tuple[int, Any]:
        with self.lock:
            self.requests.append(request)
            number = len(self.requests)
        self.before_answer(number)
        with self.lock:
            if self.failures:
                return self.failures.pop(0), {"error": "the model is loading"}
        if self.answer is not None:
            return 200, self.answer
        number = sum(map(ord, request["prompt"])) % 1000
        first = request["seed"] % 4  # chunks of the tests begin at multiples of four
        count = min(request["n"], self.most_lines)
        lines = [f" {number}번째 손님이 왔습니다, {i}. " for i in range(first, first + count)]
        reasons = ["stop", "length"]
        choices = [{"index": i, "text": line, "finish_reason": reasons[i % 2]} for i, line in enumerate(lines)]
        return 200, {"choices": choices[::-1]}


@pytest.fixture
def fake() -> Fake:
    return Fake()


@contextmanager
def serving(fake: Fake) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with fake.lock:
                fake.at_once += 1
                fake.most_at_once = max(fake.most_at_once, fake.at_once)
            fake.keys.append(self.headers["Authorization"])
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = fake.respond({"path": self.path, **body})
            # Counted out before the answer leaves: the next request may come the moment it has.
            with fake.lock:
                fake.at_once -= 1
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@pytest.fixture
def url(fake: Fake) -> Iterator[str]:
    with serving(fake) as address:
        yield address


@pytest.fixture
def store_path(tmp_path: Path, corpus_file: Path) -> Path:
    lines = corpus_file.read_text(encoding="utf-8").splitlines(keepends=True)[:100]
    (tmp_path / "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
    create_store(tmp_path / "prefs.db", "weapon_rental").close()
    return tmp_path / "prefs.db"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.Server.__init__, "__defaults__", (8, 5, 0.0, 300.0))
    monkeypatch.setattr(generate, "_CHUNK", 4)


def sampled(store_path: Path, url: str, *options: Any) -> Result:
    # A corpus of its own: to read and group the thousands of lines that the domain brings takes seconds.
    corpus = store_path.with_name("corpus.jsonl")
    command = [
        "generate",
        "--store",
        store_path,
        "--corpus",
        corpus,
        "--server",
        url,
        "--model",
        "greeter",
        "--limit",
        10,
        *options,
    ]
    return CliRunner().invoke(main, [str(part) for part in command])


def test_every_training_prompt_is_asked_and_every_line_kept(store_path: Path, url: str, fake: Fake) -> None:
    result = sampled(store_path, url, "--temperature", 0.8)
    assert result.exit_code == 0, result.output
    store = open_store(store_path)
    found = list(store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'"))
    store.close()
    assert len(fake.requests) == 10
    asked = {request["prompt"] for request in fake.requests}
    assert asked == {c.text for c in found} == {render(c.attributes, store.domain) for c in found}
    request = fake.requests[0]
    assert request["path"] == "/v1/completions"
    assert (request["model"], request["n"], request["temperature"], request["max_tokens"]) == ("greeter", 2, 0.8, 64)
    assert len(found) == 20
    for candidate in found:
        number = sum(map(ord, candidate.text or "")) % 1000
        sample = int(candidate.line[-2])
        assert candidate.line == f"{number}번째 손님이 왔습니다, {sample}."
        assert candidate.finished == (sample == 0)
        assert candidate.origin["checkpoint"] == f"greeter at {url}"
    assert fake.most_at_once <= 8


def test_a_server_that_stumbles_is_asked_again(store_path: Path, url: str, fake: Fake) -> None:
    fake.failures = [503, 429, 500]
    assert sampled(store_path, url).exit_code == 0
    assert len(fake.requests) == 13


def test_what_was_sampled_before_a_failure_is_kept_and_not_asked_again(store_path: Path, url: str, fake: Fake) -> None:
    assert sampled(store_path, url).exit_code == 0
    before = len(fake.requests)
    assert sampled(store_path, url).exit_code == 0
    assert len(fake.requests) == before
    fake.failures = [503] * 1000
    result = sampled(store_path, url, "--seed", 1)
    assert result.exit_code == 1
    assert "no answer in 5 attempts (503" in result.output
    assert "run it again" in result.output


def test_processes_share_the_prompts(
    store_path: Path, url: str, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As accelerate launch starts them; together they add what one process alone adds."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, prompts in ((0, 6), (1, 4)):
        monkeypatch.setenv("RANK", str(rank))
        fake.requests.clear()
        assert sampled(store_path, url).exit_code == 0
        assert len({request["prompt"] for request in fake.requests}) == prompts
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    fake.requests.clear()
    assert sampled(store_path, url).exit_code == 0
    assert fake.requests == []
    store = open_store(store_path)
    assert len(list(store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'"))) == 20
    store.close()


def test_a_refusal_is_told_at_once(store_path: Path, url: str, fake: Fake) -> None:
    fake.failures = [404] * 1000
    result = sampled(store_path, url)
    assert result.exit_code == 1
    assert "404" in result.output
    assert "the model is loading" in result.output
    assert len(fake.requests) <= 8


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"choices": [{"message": "hi"}]}, "not an answer of /completions"),
        ({"choices": [{"text": None}, {"text": None}]}, "not an answer of /completions"),
        ({"choices": []}, "0 lines where 2 were asked for"),
        ([], "not an answer"),
        (b"<html>busy</html>", "is no JSON"),
    ],
)
def test_an_answer_that_is_none_is_told(store_path: Path, url: str, fake: Fake, answer: Any, told: str) -> None:
    fake.answer = answer
    result = sampled(store_path, url)
    assert result.exit_code == 1
    assert told in result.output


def test_half_a_character_and_silence_make_no_candidates(store_path: Path, url: str, fake: Fake) -> None:
    fake.answer = {"choices": [{"text": "안녕\ud800", "finish_reason": "stop"}, {"text": " ", "finish_reason": "stop"}]}
    assert sampled(store_path, url).exit_code == 0
    store = open_store(store_path)
    found = list(store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'"))
    store.close()
    assert {c.line for c in found} == {"안녕?"}
    assert len(found) == 10


def test_an_address_that_is_none_is_told(store_path: Path) -> None:
    result = sampled(store_path, "localhost:8000")
    assert result.exit_code == 1
    assert "must start with http:// or https://" in result.output


def test_nobody_there_is_told(store_path: Path) -> None:
    asking = server.Server("http://127.0.0.1:9/v1", "greeter", attempts=2)
    with pytest.raises(UserError, match="no answer in 2 attempts"):
        asking.sample(["x"], {"n": 1, "seed": 0}, lambda place, lines: None)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """As in a terminal: a test runner that was started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_nothing_and_keeps_every_answer(store_path: Path, url: str, fake: Fake) -> None:
    """Six answers are in and the others hang; the next run asks for what is missing and nothing else."""
    hanging = threading.Event()
    waited_for: list[bool] = []

    def before_answer(number: int) -> None:
        if number > 6:
            if number == 7:
                signal.raise_signal(signal.SIGINT)
            waited_for.append(not hanging.wait(30))

    fake.before_answer = before_answer
    result = sampled(store_path, url, "--seed", 0)
    assert not waited_for, "the hanging answers are still under way"
    hanging.set()
    assert result.exit_code == 130
    assert "are saved" in result.output
    assert "Run the same command again" in result.output
    assert all(
        thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread() and "work" in thread.name
    )
    store = open_store(store_path)
    first = list(store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'"))
    answered = {str(c.text) for c in first}
    assert len(first) == 2 * len(answered) >= 8  # the chunk before, and what had come of this one
    fake.before_answer = lambda number: None
    fake.requests.clear()
    assert sampled(store_path, url, "--seed", 0).exit_code == 0
    assert {request["prompt"] for request in fake.requests}.isdisjoint(answered)
    assert len(fake.requests) == 10 - len(answered)
    assert len(list(store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'"))) == 20
    store.close()


def test_a_server_that_gives_one_line_at_a_time_is_asked_for_the_rest(store_path: Path, url: str, fake: Fake) -> None:
    fake.most_lines = 1
    assert sampled(store_path, url, "--samples", 3).exit_code == 0
    assert [sorted({request["n"] for request in fake.requests}), len(fake.requests)] == [[1, 2, 3], 30]
    store = open_store(store_path)
    assert len(list(store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'"))) == 30
    store.close()


def test_the_servers_own_cut_offs_are_switched_off(store_path: Path, url: str, fake: Fake) -> None:
    """llama.cpp keeps 40 tokens unless told otherwise; the origin says that nothing was cut off."""
    assert sampled(store_path, url).exit_code == 0
    knobs = ("top_k", "min_p", "repetition_penalty", "repeat_penalty")
    assert {tuple(request[knob] for knob in knobs) for request in fake.requests} == {(0, 0.0, 1.0, 1.0)}


def test_a_servers_key_comes_from_the_environment(
    store_path: Path, url: str, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPC_PREF_API_KEY", "secret")
    assert sampled(store_path, url).exit_code == 0
    assert set(fake.keys) == {"Bearer secret"}


def test_a_server_is_told_which_model(store_path: Path, url: str, fake: Fake) -> None:
    result = CliRunner().invoke(main, ["generate", "--store", str(store_path), "--server", url])
    assert result.exit_code == 1
    assert "needs --model NAME" in result.output
    assert fake.requests == []


def test_more_prompts_take_over_what_fewer_have_done(store_path: Path, url: str, fake: Fake) -> None:
    assert sampled(store_path, url, "--limit", 8).exit_code == 0
    result = sampled(store_path, url, "--limit", 16)
    assert result.exit_code == 0, result.output
    assert "2 of 4 chunks done before" in result.output
    assert len(fake.requests) == len({request["prompt"] for request in fake.requests}) == 16


def test_mistaken_asks_again_only_where_a_sample_erred(store_path: Path, url: str, fake: Fake) -> None:
    assert sampled(store_path, url).exit_code == 0
    early = sampled(store_path, url, "--mistaken", "tone_break", "--seed", 1)
    assert early.exit_code == 1, "nothing is checked yet"
    assert "npc-pref check" in early.output
    assert CliRunner().invoke(main, ["check", "--store", str(store_path)]).exit_code == 0
    store = open_store(store_path)
    erred = {
        c.text
        for c in store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'")
        if any(v["kind"] == "tone_break" for v in c.violations or ())
    }
    store.close()
    fake.requests.clear()
    result = sampled(store_path, url, "--mistaken", "tone_break", "--seed", 1)
    assert result.exit_code == 0, result.output
    assert 0 < len(erred) < 10
    assert {request["prompt"] for request in fake.requests} == erred
    assert sampled(store_path, url, "--mistaken", "tone_break", "--seed", 1).exit_code == 0
    assert CliRunner().invoke(main, ["check", "--store", str(store_path)]).exit_code == 0
    assert sampled(store_path, url, "--mistaken", "tone_break", "--seed", 1).exit_code == 0
    assert len(fake.requests) == len(erred), "done once: what it sampled itself sends it nowhere"
    # A later round errs where the first one didn't.
    store = open_store(store_path)
    fine = next(c for c in store.candidates(store.rules) if c.text and c.text not in erred)
    wrong = "야, 활이나 내놔." if fine.attributes["성격"] in ("평범형", "존칭형", "너스레형") else "활을 보여 주시겠습니까?"
    later = {"kind": "sampled", "checkpoint": "npc", "seed": 2 * generate._SEED_STEP}
    store.add_candidates([NewCandidate(fine.attributes, wrong, later, text=fine.text)])
    store.close()
    assert CliRunner().invoke(main, ["check", "--store", str(store_path)]).exit_code == 0
    fake.requests.clear()
    assert sampled(store_path, url, "--mistaken", "tone_break", "--seed", 1).exit_code == 0
    assert not fake.requests, "nor does what a later round found"


def test_an_unknown_kind_is_named(store_path: Path, url: str) -> None:
    result = sampled(store_path, url, "--mistaken", "tone")
    assert result.exit_code == 1
    assert "--mistaken tone: no such kind; there are: tone_break" in result.output


def test_mistaken_reads_imported_samples_too(store_path: Path, url: str, fake: Fake) -> None:
    store = open_store(store_path)
    prompt = generate.training_prompts(store_path.with_name("corpus.jsonl"), store.domain)[0]
    line = NewCandidate(prompt.attributes, "### User: 활", {"kind": "sampled"}, split_group=prompt.group)
    store.add_candidates([line])
    store.close()
    assert CliRunner().invoke(main, ["check", "--store", str(store_path)]).exit_code == 0
    result = sampled(store_path, url, "--mistaken", "prompt_leak")
    assert result.exit_code == 0, result.output
    assert len(fake.requests) == 1
