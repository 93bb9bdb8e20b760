"""Fluency: how likely the pretrained model, which has seen neither corpus nor pairs, finds a line as Korean text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.judges.base import About, Judge, Progress, Scores, Skipped, mean_interval
from npc_align.evaluation.statistics import wilson


class Fluency(Judge):
    """The line alone, without prompt: the prompt's form is as foreign to the base model as it is at home in the fine-tuned ones.

    A line that the length limit cut off gets no verdict: it is an endless loop as a rule, which gets likelier with every turn (Holtzman
    et al. 2020, "The Curious Case of Neural Text Degeneration", figure 4), and would make the model that loops the more fluent one.
    """

    name = "fluency"
    title = "Fluency: log-likelihood per character under the base model"
    better = "higher"
    unit = "mean"
    costly = True

    def inputs(self) -> list[str]:
        from npc_align.modeling.identity import weights_hash

        return [self.setting.stamp, weights_hash(self._folder), str(self.setting.costly_lines)]

    @cached_property
    def _folder(self) -> Path:
        from npc_align.modeling.load import is_adapter, model_folder, read_identity

        if self.setting.base_model is not None:
            return model_folder(self.setting.base_model)
        trained = [m.path for m in self.setting.result.models.values() if is_adapter(m.path)]
        if not trained:
            raise Skipped("no model here is an adapter that names its base model; say which with --base-model PATH|embedded")
        return model_folder(read_identity(trained[0])[1].base)

    @cached_property
    def _base(self) -> tuple[Any, Any]:
        from npc_align.modeling.device import choose_device
        from npc_align.modeling.load import load_base, load_tokenizer

        device = choose_device()
        return load_base(self._folder, device.dtype).to(device.name).eval(), load_tokenizer(self._folder)

    def scores(self, lines: Sequence[JudgedLine], progress: Progress) -> Scores:
        from npc_align.modeling.scoring import log_probabilities
        from npc_align.modeling.tokens import Tokens

        model, tokenizer = self._base
        texts = []
        for line in lines:
            ids = tokenizer(line.line, add_special_tokens=False).input_ids
            first = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else ids[:1]
            texts.append(Tokens(first, ids if tokenizer.bos_token_id is not None else ids[1:]))
        spoken = [i for i, text in enumerate(texts) if text.completion_ids and lines[i].finished]
        progress(len(lines) - len(spoken))
        found: Scores = [None] * len(lines)
        for sums in log_probabilities(model, [texts[i] for i in spoken], tokenizer.pad_token_id):
            for place, value in sums.items():
                found[spoken[place]] = value / len(lines[spoken[place]].line)
            progress(len(sums))
        return found

    def about(self, progress: Progress) -> About:
        good = list(self.shown(self.setting.references))
        values = self.scores(good, progress)
        shuffled = shuffled_lines(good)
        worse = self.scores(list(shuffled.values()), lambda _: None)
        right = [a is not None and b is not None and a > b for a, b in zip((values[i] for i in shuffled), worse, strict=True)]
        if not right:
            raise Skipped("the corpus' test split has no line of three words, so the judge itself can't be measured")
        on = f"{len(right)} test lines, each against itself with its words shuffled"
        reference = mean_interval([v for v in values if v is not None])
        return About(
            "Mean log-likelihood per character (nats) of the line alone, without a prompt, under the pretrained base model; nearer to zero is "
            "more fluent. Lines that were cut off have no verdict, as a loop gets likelier with every turn. Short and common lines score "
            "higher whatever they say, so hold it against the reference lines' own figure. "
            f"It prefers a reference line to the same words shuffled in {sum(right) / len(right):.1%}.",
            {**vars(wilson(sum(right), len(right))), "on": on},
            {**vars(reference), "on": f"{len(good)} test lines of the corpus"},
        )


def shuffled_lines(lines: Sequence[JudgedLine], seed: int = 0) -> dict[int, JudgedLine]:
    """By its place, each line of three words or more with its words in another order."""
    rng = random.Random(seed)
    found = {}
    for index, line in enumerate(lines):
        words = line.line.split()
        if len(set(words)) >= 3:
            changed = rng.sample(words, len(words))
            while changed == words:
                rng.shuffle(changed)
            found[index] = JudgedLine(line.attributes, " ".join(changed), True, [])
    return found
