"""The order of the house: imports point one way, the game is data, no file shadows a library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from npc_align.domain import load_domain

STAGES = ("sft", "dpo", "preference_data")
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


def _sources(root: Path, folder: str) -> list[Path]:
    found = sorted((root / folder).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("room", ["npc_align", *STAGES])
def test_imports_point_one_way(room: str, root: Path) -> None:
    foreign = {*STAGES} - {room}
    wrong = [(str(file), name) for file in _sources(root, room) for name in _imports(file) if name.split(".")[0] in foreign]
    assert not wrong


@pytest.mark.parametrize("room", ["npc_align/korean", "npc_align/checks"])
def test_language_and_checks_import_nothing_heavy(room: str, root: Path) -> None:
    allowed = {*sys.stdlib_module_names, "npc_align", "kiwipiepy"}
    wrong = [(str(file), name) for file in _sources(root, room) for name in _imports(file) if name.split(".")[0] not in allowed]
    assert not wrong


def test_korean_knows_no_other_room(root: Path) -> None:
    names = [name for file in _sources(root, "npc_align/korean") for name in _imports(file)]
    assert all(name.startswith("npc_align.korean") for name in names if name.startswith("npc_align"))


@pytest.mark.parametrize(
    "modules", ["npc_align.checks, preference_data.cli", "npc_align.data_cli, npc_align.corpus", "sft.train, dpo.train"]
)
def test_commands_start_without_torch(modules: str, root: Path, clean_environment: dict[str, str]) -> None:
    code = f"import sys, {modules}; print(*sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=clean_environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def _game_words() -> list[str]:
    """Personalities, classes, and items with their aliases; single syllables are everyday words too."""
    domain = load_domain("weapon_rental")
    words = {
        str(value) for role in ("personality", "class", "previous_item") for value in domain.by_key[domain.roles[role]].labels
    }
    words |= {alias for aliases in domain.items.values() for alias in aliases}
    return sorted(word for word in words if len(word) > 1 and word != domain.no_item)


@pytest.mark.parametrize("room", ["npc_align", *STAGES])
def test_no_code_names_the_game(room: str, root: Path) -> None:
    words = _game_words()
    assert {"존칭형", "마법사", "단검"} <= set(words)
    pattern = re.compile("|".join(map(re.escape, words)))
    named = {
        f"{file.relative_to(root)}:{number}: {pattern.findall(line)}"
        for file in _sources(root, room)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    }
    assert not named


def _opens_text_without_encoding(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        if call.func.attr not in ("open", "read_text", "write_text", "NamedTemporaryFile", "fdopen"):
            return False
        if call.func.attr == "open" and call.args and not isinstance(call.args[0], ast.Constant):
            return False  # opens something else: Path.open takes a mode
    elif getattr(call.func, "id", "") != "open":
        return False
    given = [value for value in [*call.args, *(k.value for k in call.keywords)] if isinstance(value, ast.Constant)]
    modes = {value.value for value in given if isinstance(value.value, str) and set(value.value) <= set("rwxab+t")}
    return not any("b" in mode for mode in modes) and not {"encoding", None} & {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize("room", ["npc_align", *STAGES])
def test_every_text_file_is_opened_with_its_encoding(room: str, root: Path) -> None:
    # Windows would take CP949, and a greeting would come back as something else.
    wrong = [
        f"{file.relative_to(root)}:{node.lineno}"
        for file in _sources(root, room)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _opens_text_without_encoding(node)
    ]
    assert not wrong


POSIX_ONLY = {"curses", "fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}


def test_labelling_needs_no_posix_module(root: Path) -> None:
    named = {(str(f), n) for room in ("preference_data", "npc_align") for f in _sources(root, room) for n in _imports(f)}
    assert not [(file, name) for file, name in named if name in POSIX_ONLY]


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_no_file_shadows_a_library(stage: str, root: Path) -> None:
    # `accelerate launch sft/train.py` makes sft/ the first entry of sys.path.
    libraries = {*sys.stdlib_module_names, *metadata.packages_distributions()}
    names = {path.stem for path in (root / stage).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not (names - {"__init__"}) & libraries


def test_two_processes_get_the_long_test_files_first(root: Path, request: pytest.FixtureRequest) -> None:
    (plugin,) = (p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "LONGEST"))
    long, short = [root / "tests/integration" / name for name in plugin.LONGEST], root / "tests/integration/test_report_page.py"
    assert all(path.is_file() for path in (*long, short)), "a file of another name would run last again"
    ordered = [*long, short, root / "tests/unit/test_house.py"]
    items = [SimpleNamespace(path=path) for path in reversed(ordered)]
    plugin.pytest_collection_modifyitems(items)
    assert [item.path for item in items] == ordered
    assert "--dist loadfile --no-loadscope-reorder" in (root / "Makefile").read_text(encoding="utf-8")
