"""Greedy lines at every checkpoint: samples for the eyes, a violation rate for the choice of the best."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from npc_align.checks import check_line
from npc_align.domain import Attributes, Domain
from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.modeling.generation import Decoding, Line, generate_lines
from npc_align.modeling.load import merged_copy
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import render
from npc_align.training.config import GateSection


class GreedyGate:
    """Generates under default decoding and checks the lines.

    Args:
        codec, renderer, domain: how the model is talked to.
        prompts: attributes of all validation prompts; `section.prompts` of them are drawn for the violation rate.
        section: lengths and batch size.
        samples: folder that gets one JSONL file per checkpoint.

    Raises:
        UserError: neither prompts nor probes.
    """

    def __init__(
        self,
        codec: PromptCodec,
        renderer: str,
        domain: Domain,
        prompts: Sequence[Attributes],
        section: GateSection,
        samples: Path,
    ) -> None:
        self.codec, self.renderer, self.domain = codec, renderer, domain
        # Drawn, not the first ones: a corpus may be sorted by personality.
        drawn = random.Random(0).sample(list(prompts), min(section.prompts, len(prompts)))
        self.asked: list[Attributes] = [*domain.probes, *drawn]
        self.section, self.samples = section, samples
        if not self.asked:
            raise UserError(
                "gate.prompts=0 and the domain has no probes, so no checkpoint would show a line; raise gate.prompts or add probes"
            )

    def measure(self, model: Any, step: int, *, write: bool, sharded: bool) -> dict[str, float]:
        """Metrics of the model's greedy lines, without prefix: violations (count), violation_rate, unfinished, distinct_lines,
        distinct_openings (first two words), mean_length (characters).

        Probes are shown, and counted only where there are no validation prompts. Every process of a distributed run calls
        this and gets the same figures.

        Args:
            model: the unwrapped policy.
            step: names the samples file.
            write: whether this process writes and prints.
            sharded: the weights are spread over processes (ZeRO-3), so the model is used as it is instead of a merged copy.
        """
        training = model.training
        speaker = model.eval() if sharded else merged_copy(model).eval()
        prompts = [render(a, self.domain, self.renderer, self.codec.tokenizer) for a in self.asked]
        decoding = Decoding(max_new_tokens=self.section.max_new_tokens)
        lines = generate_lines(speaker, self.codec, prompts, decoding, batch_size=self.section.batch_size)
        model.train(training)
        kinds = [
            sorted({v.kind for v in check_line(x.text, a, self.domain, finished=x.finished)})
            for x, a in zip(lines, self.asked, strict=True)
        ]
        if write:
            self._write(step, lines, kinds)
        shown = len(self.domain.probes)
        counted = slice(shown, None) if len(lines) > shown else slice(None)
        return _summary(lines[counted], kinds[counted])

    def _write(self, step: int, lines: list[Line], kinds: list[list[str]]) -> None:
        self.samples.mkdir(parents=True, exist_ok=True)
        rows = [
            json.dumps({"attributes": a, "line": x.text, "finished": x.finished, "violations": k}, ensure_ascii=False)
            for a, x, k in zip(self.asked, lines, kinds, strict=True)
        ]
        write_text(self.samples / f"step-{step:06d}.jsonl", "\n".join(rows) + "\n")
        for line, found in list(zip(lines, kinds, strict=True))[: len(self.domain.probes)]:
            click.echo(f"  greedy: {line.text}{'  <- ' + ', '.join(found) if found else ''}")


def _summary(lines: Sequence[Line], kinds: Sequence[Sequence[str]]) -> dict[str, float]:
    if not lines:
        return {}
    bad = sum(1 for k in kinds if k)
    return {
        "violations": float(bad),
        "violation_rate": bad / len(lines),
        "distinct_lines": len({line.text for line in lines}) / len(lines),
        "distinct_openings": len({" ".join(line.text.split()[:2]) for line in lines}) / len(lines),
        "mean_length": sum(len(line.text) for line in lines) / len(lines),
        "unfinished": sum(not line.finished for line in lines) / len(lines),
    }


def selection_score(violations: float, loss: float) -> float:
    """One number, lower is better, that orders by violations and breaks ties by held-out loss.

    atan(loss)/pi grows with the loss and stays within half a violation, also where the loss is negative or infinite.
    """
    return violations + math.atan(loss) / math.pi
