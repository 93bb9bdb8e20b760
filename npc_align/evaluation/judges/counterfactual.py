"""Does a line follow from its attribute? It should be likelier under the prompt's own value than under any other.

The model that says so is an SFT run of another seed than those judged: it has learnt the same task and none of their habits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from npc_align.domain import Attributes
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.judges.base import About, Judge, Progress, Scores, Setting, Skipped
from npc_align.evaluation.statistics import wilson


class _Counterfactual(Judge):
    better = "higher"
    costly = True
    role: ClassVar[str]

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._key = setting.domain.roles.get(self.role)

    def inputs(self) -> list[str]:
        from npc_align.modeling.identity import weights_hash
        from npc_align.modeling.load import adapter_folder, is_adapter

        if self._key is None:
            raise Skipped(f"the domain {self.setting.domain.name} gives no attribute the role {self.role}")
        if self.setting.seed_model is None:
            raise Skipped(
                "needs an SFT run of another seed than the models judged. Train one: accelerate launch sft/train.py seed=43 "
                "output_dir=runs/sft-seed43 (and what else the SFT run's config.yaml sets); then: npc-eval judge … --seed-model runs/sft-seed43"
            )
        own = weights_hash(adapter_folder(self.setting.seed_model))
        judged = {label: m.path for label, m in self.setting.result.models.items() if is_adapter(m.path)}
        same = [label for label, path in judged.items() if weights_hash(adapter_folder(path)) == own]
        if same:
            raise Skipped(f"--seed-model {self.setting.seed_model} is the model {same[0]} itself; it would judge its own lines")
        return [self.setting.stamp, own, str(self.setting.costly_lines)]

    def variants(self, attributes: Attributes) -> list[Attributes]:
        """The attributes with every other value that leaves them coherent; the true ones first, alone where nothing else fits."""
        assert self._key is not None  # inputs() has been asked
        values = self.setting.domain.by_key[self._key].labels
        changed = [{**attributes, self._key: value} for value in values if value != attributes.get(self._key)]
        return [attributes, *(a for a in changed if not self.setting.domain.problems(a))]

    def scores(self, lines: Sequence[JudgedLine], progress: Progress) -> Scores:
        """1 where the true value makes the line likeliest; None where no other value is coherent or set, or the line is empty."""
        from npc_align.modeling.scoring import log_probabilities

        seed = self._model
        asked = [self.variants(x.attributes) if self._key in x.attributes and x.line else [] for x in lines]
        asked = [variants if len(variants) > 1 else [] for variants in asked]
        texts = [self._encoded(a, x.line) for x, variants in zip(lines, asked, strict=True) for a in variants]
        done = _Share(progress, len(lines), len(texts))
        likely: dict[int, float] = {}
        for sums in log_probabilities(seed.model, texts, seed.tokenizer.pad_token_id):
            likely |= sums
            done.advance(len(sums))
        done.finish()
        values = (likely[place] for place in range(len(texts)))
        found: Scores = []
        for variants in asked:
            own = [next(values) for _ in variants]
            found.append(float(own[0] > max(own[1:])) if own else None)
        return found

    def about(self, progress: Progress) -> About:
        lines = list(self.shown(self.setting.references))
        right = [value for value in self.scores(lines, progress) if value is not None]
        if not right:
            raise Skipped(f"no test line of the corpus leaves another value of {self._key} open, so the judge can't be measured")
        rate = wilson(int(sum(right)), len(right))
        return About(
            f"Share of lines that a separately trained SFT model finds likelier after the prompt's own {self._key} than after any other value that "
            f"leaves the prompt coherent. Of the corpus' own test lines it finds {rate.value:.1%} likeliest so ({rate.low:.1%} to {rate.high:.1%}).",
            {**vars(rate), "on": f"test split, {len(right)} lines"},
        )

    def _encoded(self, attributes: Attributes, line: str) -> Any:
        from npc_align.prompt import render

        seed = self._model
        return seed.codec.encode(render(attributes, seed.domain, seed.renderer, seed.tokenizer), line, "the line")

    @cached_property
    def _model(self) -> Any:
        from npc_align.modeling.device import choose_device
        from npc_align.modeling.load import load_for_generation

        device = choose_device()
        return load_for_generation(str(self.setting.seed_model), device.dtype, device.name, domain=self.setting.result.domain)


class CounterfactualPersonality(_Counterfactual):
    name = "counterfactual_personality"
    title = "Lines likeliest under their own personality"
    role = "personality"


class CounterfactualResult(_Counterfactual):
    name = "counterfactual_result"
    title = "Lines likeliest under their own quest result"
    role = "result"


class _Share:
    """Tells of lines done while texts are done, of which a line has several or none."""

    def __init__(self, progress: Progress, lines: int, texts: int) -> None:
        self._progress, self._lines, self._texts = progress, lines, max(1, texts)
        self._done = self._told = 0

    def advance(self, texts: int) -> None:
        self._done += texts
        self._tell(self._lines * self._done // self._texts)

    def finish(self) -> None:
        self._tell(self._lines)

    def _tell(self, lines: int) -> None:
        self._progress(lines - self._told)
        self._told = lines
