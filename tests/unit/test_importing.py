"""Files of lines go into the store whole, whatever program saved them, and what is wrong with a row is told by its place."""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.cli import FriendlyGroup
from npc_align.domain import load_domain
from npc_align.errors import UserError
from preference_data import exchange_cli
from preference_data.importing import import_file
from preference_data.pairing import _Policy, _side, _Words
from preference_data.store import Candidate, NewCandidate, Store
from preference_data.store_file import create_store

DOMAIN = load_domain("weapon_rental")
PROBE, OTHER = DOMAIN.probes[:2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = create_store(tmp_path / "prefs.db", "weapon_rental")
    yield made
    made.close()


def run(*arguments: Any) -> Result:
    group = FriendlyGroup(commands=[exchange_cli.init, exchange_cli.import_])
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def lines_of(store: Store) -> dict[str, Candidate]:
    return {found.line: found for found in store.candidates("none")}


def jsonl(path: Path, *rows: Any) -> Path:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def record(line: str, **extra: Any) -> dict[str, Any]:
    return {**PROBE, DOMAIN.line_key: line, **extra}


def table(path: Path, rows: list[dict[str, Any]], encoding: str) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def test_init_makes_the_folders_and_says_what_to_run_next(tmp_path: Path) -> None:
    store = tmp_path / "a" / "b" / "prefs.db"
    result = run("init", "--store", store)
    assert result.exit_code == 0, result.output
    assert store.is_file()
    assert f"npc-pref import FILE --store {store}" in result.output
    assert run("init", "--store", store).exit_code == 1
    assert run("init", "--store", tmp_path / "c" / "prefs.db", "--domain", "nowhere").exit_code == 1
    assert not (tmp_path / "c").exists()


def test_init_finds_a_studios_own_domain_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "game.yaml").write_text("inherit: weapon_rental\nname: game\n" + _sections(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = run("init", "--store", "prefs.db", "--domain", "game.yaml")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir("/")
    lines = jsonl(tmp_path / "lines.jsonl", record("반갑습니다."))
    assert run("import", lines, "--store", tmp_path / "prefs.db").exit_code == 0


def _sections() -> str:
    """The sections of the shipped domain that aren't inherited."""
    import yaml

    from npc_align.domain import shipped_file

    raw = yaml.safe_load(shipped_file("weapon_rental", "domain.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump({key: raw[key] for key in ("line_key", "attributes", "roles")}, allow_unicode=True)


def test_both_forms_of_a_row_come_in_with_all_that_is_kept(store: Store, tmp_path: Path) -> None:
    origin = {"kind": "sampled", "checkpoint": "run5", "seed": 3}
    candidate = {"attributes": PROBE, "line": " 어서 오게.\n더 있네. ", "prompt": "### User", "finished": False, "origin": origin}
    path = jsonl(tmp_path / "lines.jsonl", {**candidate, "group": "g1", "id": "x", "violations": []}, record("반갑습니다."))
    done = import_file(store, path)
    assert (done.rows, done.new, done.known, done.bad) == (2, 2, 0, [])
    assert done.ignored == {"id": 1, "violations": 1}
    found = lines_of(store)
    sampled = found["어서 오게.\n더 있네."]
    assert (sampled.text, sampled.finished, sampled.origin, sampled.split_group) == ("### User", False, origin, "g1")
    assert sampled.attributes == PROBE
    assert found["반갑습니다."].origin == {"kind": "imported", "file": "lines.jsonl", "line": 2}
    again = import_file(store, path)
    assert (again.new, again.known, store.count("candidate")) == (0, 2, 2)


def test_what_looks_the_same_is_the_same(store: Store, tmp_path: Path) -> None:
    decomposed = json.loads(unicodedata.normalize("NFD", json.dumps(record("반갑습니다."), ensure_ascii=False)))
    assert decomposed != record("반갑습니다.")
    done = import_file(store, jsonl(tmp_path / "lines.jsonl", decomposed, record("반갑습니다.")))
    assert (done.new, done.known) == (1, 1)
    assert list(lines_of(store)) == ["반갑습니다."]


def test_bad_rows_are_told_by_line_and_left_out(store: Store, tmp_path: Path) -> None:
    key = next(iter(PROBE))
    path = jsonl(
        tmp_path / "lines.jsonl",
        record("첫 줄입니다."),
        "{not json",
        "",
        record("값이 틀렸다", **{key: "모름"}),
        '{"attributes": ' + json.dumps(PROBE) + ', "line": "\\ud800"}',
        record(""),
        record("두\n줄"),
        {"attributes": PROBE, "line": "좋소", "finished": "perhaps", "group": 3, "prompt": "a", "text": "b", "origin": [1]},
        record("어떤 열쇠", memo="?"),
        {DOMAIN.line_key: "누구신지"},
        record("끝 줄입니다."),
    )
    path.write_bytes(path.read_bytes() + "깨진 줄".encode("cp949") + b"\n")
    result = run("import", path, "--store", store.path)
    assert result.exit_code == 1
    assert set(lines_of(store)) == {"첫 줄입니다.", "끝 줄입니다."}
    assert "11 rows: 2 new candidates, 0 there already, 9 bad and left out" in result.stdout
    told = json.loads(run("import", path, "--store", store.path, "--json").stdout)
    assert (told["new"], told["known"], told["bad_rows"]) == (0, 2, 9)
    by_line: dict[int, list[str]] = {}
    for problem in told["bad"]:
        by_line.setdefault(problem["line_number"], []).append(problem["field"])
    assert by_line == {
        2: [""],
        4: [key],
        5: [""],
        6: [DOMAIN.line_key],
        7: [DOMAIN.line_key],
        8: ["text", "finished", "origin", "group"],
        9: ["memo"],
        10: [""],
        12: [""],
    }
    assert f"lines.jsonl:4: {key}='모름': not a value of {key}" in result.stderr
    assert "lines.jsonl:12: not UTF-8" in result.stderr


@pytest.mark.parametrize(("encoding", "told"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8 with a BOM"), ("cp949", "CP949")])
def test_csv_as_any_spreadsheet_saves_it(store: Store, tmp_path: Path, encoding: str, told: str) -> None:
    rows = [
        record('"또 왔네," 뷁!', finished="FALSE", origin=""),
        {**record("안녕하신가.", finished="", origin="작가들"), **OTHER},
    ]
    path = table(tmp_path / "lines.csv", rows, encoding)
    result = run("import", path, "--store", store.path)
    assert result.exit_code == 0, result.output
    assert f"read as {told}\n" in result.stdout
    found = lines_of(store)
    assert found['"또 왔네," 뷁!'].attributes == PROBE
    assert not found['"또 왔네," 뷁!'].finished
    assert found["안녕하신가."].attributes == OTHER
    assert found["안녕하신가."].origin == {"kind": "imported", "file": "lines.csv", "line": 3, "name": "작가들"}


def test_csv_numbers_are_numbers_where_the_domain_has_them(tmp_path: Path) -> None:
    store = create_store(tmp_path / "v1.db", "weapon_rental_v1")
    row = {"personality": "존칭형", "visitCount": 0, "context.lastResult": 0, "affectionLevel": "", "greeting": "처음 뵙습니다."}
    assert import_file(store, table(tmp_path / "v1.csv", [row], "utf-8")).new == 1
    expected = {"visitCount": 0, "context.lastResult": 0, "personality": "존칭형"}
    assert lines_of(store)["처음 뵙습니다."].attributes == expected
    nested = {"personality": "존칭형", "visitCount": 0, "context": {"lastResult": 0}, "greeting": "처음 뵙습니다."}
    assert import_file(store, jsonl(tmp_path / "v1.jsonl", nested)).known == 1
    store.close()


def test_csv_rows_that_do_not_fit_are_told_and_the_rest_is_in(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path / "lines.csv", [record("첫 줄입니다."), record("두\n줄")], "cp949")
    with path.open("ab") as file:
        file.write("하나,둘\r\n".encode("cp949") + b",,,,,,,,,\r\n")
    table(tmp_path / "rest.csv", [record("끝 줄입니다.")], "cp949")
    with path.open("ab") as file:
        file.write((tmp_path / "rest.csv").read_bytes().split(b"\r\n", 1)[1])
    done = import_file(store, path)
    assert set(lines_of(store)) == {"첫 줄입니다.", "끝 줄입니다."}
    assert [(p.line_number, p.message.split(" ")[0]) for p in done.bad] == [(3, "the"), (5, "2")]


def test_a_file_that_cannot_be_read_as_a_whole_changes_nothing(store: Store, tmp_path: Path) -> None:
    good = record("반갑습니다.")
    mixed = table(tmp_path / "mixed.csv", [good], "utf-8")
    mixed.write_bytes(mixed.read_bytes() + "성격\r\n".encode("cp949"))
    (tmp_path / "neither.csv").write_bytes(b"\xff\x00\xff\n")
    (tmp_path / "excel.csv").write_bytes("성격".encode("utf-16"))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "lines.txt").write_bytes(b"{}")
    (tmp_path / "bad.parquet").write_bytes(b"PAR0")
    cases = {
        "mixed.csv": r"mixed.csv:3: not UTF-8, though the header is",
        "neither.csv": "neither UTF-8 nor CP949",
        "excel.csv": "UTF-16",
        "empty.csv": f"no column '{DOMAIN.line_key}'",
        "empty.jsonl": "no rows",
        "lines.txt": "--format jsonl",
        "bad.parquet": "not readable as Parquet",
        "none.csv": "no such file",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            import_file(store, tmp_path / name)
    with pytest.raises(UserError, match="unknown columns 메모"):
        import_file(store, table(tmp_path / "memo.csv", [{**good, "메모": "?"}], "utf-8"))
    assert store.count("candidate") == 0


def test_parquet_comes_in_as_jsonl_does(store: Store, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra [train] is missing: Parquet was NOT read")
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra [train] is missing: Parquet was NOT read")
    rows = [
        {"attributes": PROBE, "line": "어서 오게.", "origin": {"kind": "sampled", "seed": 1}},
        {"attributes": OTHER, "line": "반갑소.", "origin": {"kind": "corrupted"}},
        {"attributes": {**PROBE, next(iter(PROBE)): "모름"}, "line": "?", "origin": None},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "lines.parquet")
    done = import_file(store, tmp_path / "lines.parquet")
    assert (done.new, [p.line_number for p in done.bad]) == (2, [3])
    assert import_file(store, jsonl(tmp_path / "lines.jsonl", *rows[:2])).known == 2
    assert lines_of(store)["반갑소."].origin == {"kind": "corrupted"}


def test_parquet_without_pyarrow_says_what_to_install(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "lines.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="pip install pyarrow"):
        import_file(store, tmp_path / "lines.parquet")


def test_origins_of_rows_that_do_not_say(store: Store, tmp_path: Path) -> None:
    import_file(store, jsonl(tmp_path / "a.jsonl", record("가.")), origin="corpus")
    import_file(store, jsonl(tmp_path / "b.jsonl", record("나.")), origin="외주")
    found = lines_of(store)
    assert found["가."].origin == {"kind": "corpus", "file": "a.jsonl", "line": 1}
    assert found["나."].origin == {"kind": "imported", "name": "외주", "file": "b.jsonl", "line": 1}


@pytest.mark.parametrize("told_by", ["option", "cell", "object"])
def test_a_line_that_somebody_mended_elsewhere_counts_as_written(store: Store, tmp_path: Path, told_by: str) -> None:
    """So that a spreadsheet with mended lines brings good sides for pairs; of an edit made here it would be asked whether it holds."""
    origin = {"option": None, "cell": "edited", "object": {"kind": "edited", "by": "민"}}[told_by]
    rows = [record("가나다 라마바.", origin=origin)]
    import_file(store, jsonl(tmp_path / "a.jsonl", *rows), origin="edited" if told_by == "option" else None)
    (mended,) = lines_of(store).values()
    assert (mended.origin["kind"], mended.origin["file"]) == ("edited", "a.jsonl")
    nobody = _Policy(None, frozenset())
    assert _side(mended, (), _Words(set(), set(), set()), nobody, own_lines=True) is True
    assert _side(mended, ("tone_break",), _Words(set(), set(), set()), nobody, own_lines=True) is None
    assert _side(mended, (), _Words(set(), {mended.id}, set()), nobody, own_lines=True) is None
    made_here = replace(mended, origin={"kind": "edited", "by": "민"})
    assert _side(made_here, (), _Words(set(), set(), set()), nobody, own_lines=True) is None
    assert _side(made_here, (), _Words(set(), set(), {mended.id}), nobody, own_lines=True) is True


def test_an_interrupted_import_is_completed_by_the_same_command(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_data.store._BATCH", 10)
    path = jsonl(tmp_path / "lines.jsonl", *(record(f"{number}번째 줄입니다.") for number in range(25)))
    added, batches = Store._add_batch, []

    def interrupted(self: Store, batch: list[NewCandidate]) -> int:
        if len(batches) == 1:
            raise KeyboardInterrupt
        batches.append(batch)
        return added(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_add_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_file(store, path)
    assert store.count("candidate") == 10
    done = import_file(store, path)
    assert (done.new, done.known, store.count("candidate")) == (15, 10, 25)
