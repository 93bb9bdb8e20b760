"""The corpus: what is read, what is refused, what a split promises, what an interruption leaves behind."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from npc_align import corpus
from npc_align.corpus import CorpusError, Example
from npc_align.domain import Domain, load_domain
from npc_align.errors import UserError
from npc_align.splits import SPLITS

GREETING = "오랜만에 들렀는데 잘 지내셨어요?"


@pytest.fixture
def v2() -> Domain:
    return load_domain("weapon_rental")


@pytest.fixture
def v1() -> Domain:
    return load_domain("weapon_rental_v1")


def write(path: Path, records: list[Any], encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode(encoding))
    return path


def record(domain: Domain, line: str = GREETING, probe: int = 1, **changes: Any) -> dict[str, Any]:
    return {**corpus.to_record({**domain.probes[probe]}, line, domain), **changes}


def problems_of(path: Path, domain: Domain) -> list[corpus.RecordProblem]:
    with pytest.raises(CorpusError) as caught:
        corpus.read_examples(path, domain)
    return caught.value.problems


# --- Reading


def test_a_flat_record_is_read_with_its_attributes_line_and_place(tmp_path: Path, v2: Domain) -> None:
    path = write(tmp_path / "c.jsonl", [record(v2)])
    assert corpus.read_examples(path, v2) == [Example(dict(v2.probes[1]), GREETING, "c.jsonl:1")]


def test_a_nested_record_is_read_flat_and_written_nested_again(tmp_path: Path, v1: Domain) -> None:
    nested = record(v1)
    assert nested["context"] == {"lastResult": 1, "lastTypeMatch": 0}
    (example,) = corpus.read_examples(write(tmp_path / "c.jsonl", [nested]), v1)
    assert example.attributes["context.lastResult"] == 1
    assert corpus.to_record(example.attributes, example.line, v1) == nested


@pytest.mark.parametrize("context", [None, {}, {"lastResult": None}])
def test_null_is_unset(tmp_path: Path, v1: Domain, context: Any) -> None:
    (example,) = corpus.read_examples(write(tmp_path / "c.jsonl", [record(v1, context=context, affectionLevel=None)]), v1)
    assert set(example.attributes) == {"adventurerType", "visitCount", "personality"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf8_is_read_with_and_without_a_bom(tmp_path: Path, v2: Domain, encoding: str) -> None:
    (example,) = corpus.read_examples(write(tmp_path / "c.jsonl", [record(v2)], encoding), v2)
    assert example.line == GREETING


def test_decomposed_hangul_is_read_as_composed(tmp_path: Path, v2: Domain) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(unicodedata.normalize("NFD", json.dumps(record(v2), ensure_ascii=False)), encoding="utf-8")
    (example,) = corpus.read_examples(path, v2)
    assert (example.attributes, example.line) == (dict(v2.probes[1]), GREETING)


def test_windows_line_ends_and_blank_lines_are_no_problem(tmp_path: Path, v2: Domain) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\r\n" + json.dumps(record(v2)).encode() + b"\r\n\r\n")
    assert [e.id for e in corpus.read_examples(path, v2)] == ["c.jsonl:2"]


def test_a_cp949_file_is_refused_with_the_command_that_mends_it(tmp_path: Path, v2: Domain) -> None:
    path = write(tmp_path / "c.jsonl", [{"ascii": 1}, record(v2)], "cp949")
    for read in (lambda: corpus.scan(path, v2), lambda: list(corpus.read_jsonl(path))):
        with pytest.raises(UserError, match=rf"c\.jsonl:2: .*CP949: iconv -f cp949 -t utf-8 {path}"):
            read()


def test_a_file_of_mixed_encodings_is_refused_with_a_cure_for_the_odd_line_alone(tmp_path: Path, v2: Domain) -> None:
    path = tmp_path / "c.jsonl"
    good = json.dumps(record(v2), ensure_ascii=False)
    path.write_bytes(good.encode() + b"\n" + good.encode("cp949") + b"\n")
    with pytest.raises(UserError, match=r"c\.jsonl:2: .*mixes encodings.*sed -n 2p"):
        corpus.scan(path, v2)


def test_utf16_and_damaged_bytes_are_named_as_such(tmp_path: Path, v2: Domain) -> None:
    with pytest.raises(UserError, match="UTF-16"):
        corpus.scan(write(tmp_path / "wide.jsonl", [record(v2)], "utf-16"), v2)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b'{"a": "\xff\xff"}\n')
    with pytest.raises(UserError, match="neither UTF-8 nor CP949"):
        corpus.scan(damaged, v2)


def test_missing_empty_and_folder_are_errors_that_name_the_path(tmp_path: Path, v2: Domain) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    for path, message in ((tmp_path / "none.jsonl", "no such file"), (empty, "no records"), (tmp_path, "folder")):
        with pytest.raises(UserError, match=message) as caught:
            corpus.read_examples(path, v2)
        assert str(path) in str(caught.value)


# --- What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON object is expected"),
        ('"text"', "a JSON object is expected"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": "\\ud800"}', "not usable JSON"),
        ("[" * 100_000, "not usable JSON"),
        ("1" * 5_000, "not usable JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, v2: Domain, text: str, message: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text + "\n", encoding="utf-8")
    (problem,) = problems_of(path, v2)
    assert (problem.line_number, problem.field) == (1, "")
    assert message in problem.message
    with pytest.raises(UserError, match=rf"c\.jsonl:1: .*{message}"):
        list(corpus.read_jsonl(path))


@pytest.mark.parametrize("line", [None, "", " \t", 3, ["x"]])
def test_a_record_without_a_line_is_refused(tmp_path: Path, v2: Domain, line: Any) -> None:
    (problem,) = problems_of(write(tmp_path / "c.jsonl", [record(v2, line)]), v2)
    assert problem.field == v2.line_key
    assert "missing or empty" in problem.message


@pytest.mark.parametrize("line", ["a\nb", "a\rb", "a\n", "a\u2028b", "a\u0085b"])
def test_a_line_break_in_a_line_is_refused(tmp_path: Path, v2: Domain, line: str) -> None:
    (problem,) = problems_of(write(tmp_path / "c.jsonl", [record(v2, line)]), v2)
    assert "line break" in problem.message


def test_unknown_keys_are_refused_even_unset(tmp_path: Path, v1: Domain) -> None:
    nested = record(v1, mood=None)
    nested["context"]["weather"] = 1
    fields = {p.field: p.message for p in problems_of(write(tmp_path / "c.jsonl", [nested]), v1)}
    assert set(fields) == {"mood", "context.weather"}
    assert "there are: adventurerType" in fields["mood"]


@pytest.mark.parametrize("value", [True, 1.0, "1", 9, [1], {"level": 1}])
def test_only_the_domains_own_values_pass(tmp_path: Path, v1: Domain, value: Any) -> None:
    (problem,) = problems_of(write(tmp_path / "c.jsonl", [record(v1, affectionLevel=value)]), v1)
    assert (problem.field, problem.value) == ("affectionLevel", value)
    assert "allowed: 0, 1, 2, 3, 4" in str(problem)


def test_a_contradiction_names_the_odd_field(tmp_path: Path, v1: Domain) -> None:
    (problem,) = problems_of(write(tmp_path / "c.jsonl", [record(v1, visitCount=0)]), v1)
    assert problem.field == "context.lastResult"
    assert "contradicts" in problem.message


def test_a_value_given_flat_and_nested_is_refused(tmp_path: Path, v1: Domain) -> None:
    (problem,) = problems_of(write(tmp_path / "c.jsonl", [{**record(v1), "context.lastResult": 2}]), v1)
    assert "given twice" in problem.message


def test_the_same_record_twice_is_refused_but_the_same_line_is_not(tmp_path: Path, v2: Domain) -> None:
    path = write(tmp_path / "c.jsonl", [record(v2), record(v2, probe=2), dict(reversed(record(v2, f" {GREETING}").items()))])
    (problem,) = problems_of(path, v2)
    assert problem.line_number == 3
    assert "stands in line 1" in problem.message


def test_every_bad_record_is_collected_beside_the_good_ones(tmp_path: Path, v1: Domain) -> None:
    rows = [record(v1, affectionLevel=7, visitCount=7), record(v1), record(v1, "")]
    examples, problems = corpus.scan(write(tmp_path / "c.jsonl", rows), v1)
    assert [e.id for e in examples] == ["c.jsonl:2"]
    assert [(p.line_number, p.field) for p in problems] == [(1, "affectionLevel"), (1, "visitCount"), (3, "greeting")]


def test_the_error_text_stays_readable_for_a_wholly_wrong_file(tmp_path: Path, v1: Domain) -> None:
    with pytest.raises(CorpusError, match="1000 problems") as caught:
        corpus.read_examples(write(tmp_path / "c.jsonl", [record(v1, affectionLevel="x" * 500)] * 1000), v1)
    assert len(str(caught.value)) < 5000
    assert "npc-data check" in str(caught.value)


# --- Writing


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = [{"말": "안녕", "n": i} for i in range(3)]
    path = tmp_path / "new" / "folder" / "c.jsonl"
    corpus.write_jsonl(path, rows)
    assert list(corpus.read_jsonl(path)) == list(enumerate(rows, start=1))
    assert [p.name for p in path.parent.iterdir()] == ["c.jsonl"]


def test_an_error_while_writing_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("old\n")
    with pytest.raises(ZeroDivisionError):
        corpus.write_jsonl(path, ({"n": 1 // n} for n in (1, 0)))
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_reported_with_the_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpus.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        corpus.write_jsonl(tmp_path / "c.jsonl", [{}])
    assert caught.value.filename == str(tmp_path / "c.jsonl")
    assert not list(tmp_path.iterdir())


KILL = """
import os, signal
from pathlib import Path
from npc_align import corpus
left = {after}
def counted(step):
    def wrapped(*args, **kwargs):
        global left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return step(*args, **kwargs)
    return wrapped
Path.unlink, Path.replace = counted(Path.unlink), counted(Path.replace)
corpus.{call}
"""


def killed(call: str, after: int) -> None:
    """Runs `call` in a process that is killed after so many files were removed or moved."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILL.format(call=call, after=after)], cwd=root, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_kill_between_temporary_and_replace_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("old\n")
    killed(f"write_jsonl({str(path)!r}, [{{'n': 1}}])", after=0)
    assert path.read_text() == "old\n"


@pytest.mark.parametrize("after", range(6))
def test_a_kill_never_leaves_two_splits_mixed(tmp_path: Path, after: int) -> None:
    names = [tmp_path / f"{name}.jsonl" for name in SPLITS]
    for path in names:
        path.write_text("old\n")
    targets = ", ".join(f"Path({str(path)!r}): [{{'new': 1}}]" for path in names)
    killed(f"write_together({{{targets}}})", after)
    assert len({path.read_text() for path in names if path.exists()}) <= 1


def test_a_link_is_written_through_and_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text("old\n")
    link = tmp_path / "link.jsonl"
    link.symlink_to("real.jsonl")
    corpus.write_jsonl(link, [{"n": 1}])
    assert link.is_symlink()
    assert (tmp_path / "real.jsonl").read_text() == '{"n": 1}\n'
    with pytest.raises(UserError, match="not an ordinary file"):
        corpus.write_jsonl(tmp_path, [])
