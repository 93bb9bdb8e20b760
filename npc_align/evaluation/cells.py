"""One model's cells: generated once, kept with a content key, checked again where only the rules changed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import click

from npc_align.checks import rules_hash
from npc_align.domain import Attributes
from npc_align.evaluation.folder import JudgedLine, ModelScore, StoredLines, forget_result, read_stored, write_stored
from npc_align.evaluation.measure import generated_lines, held_out_loss, judged
from npc_align.evaluation.presets import effective
from npc_align.evaluation.run import Inputs, Request, content_hash, weights_stamp
from npc_align.files import write_text
from npc_align.modeling.device import Device
from npc_align.modeling.generation import Decoding
from npc_align.modeling.load import LoadedModel, load_for_generation
from npc_align.progress import counted
from npc_align.prompt import body


class Progress:
    """Which cell of how many is under way, and how long the rest will take by the time per prompt so far.

    Args:
        cells: how many cells there are.
        prompts: how many prompts they have together.
    """

    def __init__(self, cells: int, prompts: int) -> None:
        self.cells, self.left = cells, prompts
        self._number = self._answered = 0
        self._seconds = 0.0

    def add(self, prompts: int) -> None:
        """One more cell than was known at first."""
        self.cells += 1
        self.left += prompts

    @contextmanager
    def cell(self, name: str, prompts: int) -> Iterator[Callable[[int], None]]:
        """Around a cell that is generated; gives what to call with the number of prompts just answered."""
        label, started = f"{self._next()} {name}{self._estimate()}", time.monotonic()
        with counted(prompts, label) as advance:
            yield advance
        self._seconds += time.monotonic() - started
        self._answered += prompts
        self.left -= prompts

    def kept(self, name: str, prompts: int) -> None:
        """A cell whose lines are there already."""
        click.echo(f"{self._next()} {name}: measured before", err=True)
        self.left -= prompts

    def _next(self) -> str:
        self._number += 1
        return f"[{self._number}/{self.cells}]"

    def _estimate(self) -> str:
        if not self._answered:
            return ""
        minutes = math.ceil(self._seconds / self._answered * self.left / 60)
        return f" (this and the rest: about {minutes} min)"


class ModelBench:
    """A model, loaded when the first of its figures is missing, and what it says under several decodings.

    Args:
        label, path: the model.
        request, inputs: what is asked.
        device: where it runs.
        progress: told of every cell.

    Raises:
        UserError: no model at `path`.
    """

    def __init__(self, label: str, path: str, request: Request, inputs: Inputs, device: Device, progress: Progress) -> None:
        self.label, self.path = label, path
        self._request, self._inputs, self._device, self._progress = request, inputs, device, progress
        self._stamp = weights_stamp(path)
        self._rules = rules_hash(inputs.domain)

    @cached_property
    def _loaded(self) -> LoadedModel:
        return load_for_generation(self.path, self._device.dtype, self._device.name, domain=self._request.domain)

    def lines(self, decoding: Decoding, prompts: Sequence[Attributes], file: Path, note: str = "") -> list[JudgedLine]:
        """One line per prompt from `file`, or generated into it. Rules that changed since judge the stored lines again.

        Args:
            decoding: how to decode.
            prompts: attributes, one line each.
            file: where the lines are kept.
            note: stands behind the cell's name in the progress.
        """
        domain, request, name = self._inputs.domain, self._request, f"{self.label} x {decoding.name}{note}"
        seed = f"seed {request.seed}" if decoding.knobs.get("do_sample") else "no seed"
        how = f"{effective(decoding)} {seed} batch {request.batch_size} {self._device}"
        key = content_hash([self._stamp, how, *(body(p, domain) for p in prompts)])
        stored = read_stored(file)
        if stored is not None and stored.key == key:
            self._progress.kept(name, len(prompts))
            if stored.rules == self._rules:
                return stored.lines
            lines = [judged(x.attributes, x.line, x.finished, domain) for x in stored.lines]
        else:
            loaded = self._loaded  # before the clock runs: loading is no part of what a cell takes
            with self._progress.cell(name, len(prompts)) as update:
                lines = generated_lines(
                    loaded, prompts, decoding, batch_size=request.batch_size, seed=request.seed, progress=update
                )
        if file.is_file():
            forget_result(request.output)
        write_stored(file, StoredLines(key, self._rules, lines))
        return lines

    def score(self) -> ModelScore:
        """Held-out loss and perplexity of the reference lines, kept in `losses/<label>.json`."""
        file = self._request.output / "losses" / f"{self.label}.json"
        asked = [f"{body(e.attributes, self._inputs.domain)}\n{e.line}" for e in self._inputs.references]
        key = content_hash([self._stamp, str(self._device), *asked])
        stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if stored.get("key") != key:
            loaded = self._loaded
            with counted(len(asked), f"{self.label}: held-out loss") as advance:
                stored = {"key": key, "held_out_loss": held_out_loss(loaded, self._inputs.references, progress=advance)}
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(stored) + "\n")
        return ModelScore(self.path, stored["held_out_loss"], math.exp(stored["held_out_loss"]))
