"""How much more likely a model holds the chosen line of a pair than the rejected one: pairs with a small margin are worth a person's time.

Log-probabilities belong to a line and a model, and stay in the store: whatever asks for them again computes only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from npc_align.errors import UserError
from npc_align.progress import counted
from npc_align.prompt import render
from preference_data.store import Store, content_id, to_json

_LATEST = "likelihoods_of"  # key of the store's meta: the model that was asked last


@dataclass(frozen=True)
class Margins:
    """Per pair, in its order: mean log-probability per token of the chosen line minus that of the rejected one, under `model`.

    The mean, not the sum: under sums the shorter line nearly always wins, and small margins would only mean that two lines are
    equally long.
    """

    model: str
    values: list[float]
    computed: int


def pair_margins(store: Store, pairs: Sequence[tuple[str, str]], model: str | None, batch_size: int) -> Margins:
    """The margins of (chosen, rejected) candidates.

    Args:
        store: keeps the log-probabilities, a batch to a transaction: an interruption costs one batch.
        pairs: ids of candidates.
        model: run folder, adapter, merged model or `embedded`; None for the one that was asked last, with nothing left to compute.
        batch_size: lines to a batch.

    Raises:
        UserError: no model where one is needed, nothing usable there, or a model of another domain.
    """
    wanted = list(dict.fromkeys(candidate_id for pair in pairs for candidate_id in pair))
    key, name = _asked_last(store) if model is None else _identified(store, model)
    known = _known(store, key)
    missing = [candidate_id for candidate_id in wanted if candidate_id not in known]
    if missing and model is None:
        raise UserError(
            f"--order uncertain: {len(missing)} of {len(wanted)} lines have no log-probability under {name} yet; add --model {name}"
        )
    if missing:
        _compute(store, name, key, missing, batch_size)
        known = _known(store, key)
    if model is not None:
        with store.transaction():
            store.set_meta(_LATEST, to_json([key, name]))
    return Margins(name, [known[chosen] - known[rejected] for chosen, rejected in pairs], len(missing))


def _asked_last(store: Store) -> tuple[str, str]:
    told = store.meta(_LATEST)
    if told is None:
        raise UserError(
            "--order uncertain: the store has no model's log-probabilities yet; say whose, such as --model runs/sft (needs torch)"
        )
    key, name = json.loads(told)
    return key, name


def _identified(store: Store, model: str) -> tuple[str, str]:
    """What tells this state of the model from others, and its name."""
    from npc_align.training.launch import quiet_libraries

    quiet_libraries()
    from npc_align.modeling.load import adapter_folder, is_adapter
    from preference_data.local_model import weights_identity

    name = str(adapter_folder(model)) if is_adapter(model) else model
    return content_id(weights_identity(name), store.domain.content_hash), name


def _known(store: Store, key: str) -> dict[str, float]:
    """Mean log-probability per token, by candidate."""
    return dict(store.db.execute("SELECT candidate_id, log_probability / tokens FROM likelihood WHERE model = ?", (key,)))


def _compute(store: Store, model: str, key: str, ids: Sequence[str], batch_size: int) -> None:
    from npc_align.modeling.scoring import score_completions
    from preference_data.local_model import loaded_model

    loaded = loaded_model(model, store)
    lines = [store.candidate(candidate_id, store.rules) for candidate_id in ids]
    texts = [(render(c.attributes, loaded.domain, loaded.renderer, loaded.tokenizer), c.line.strip()) for c in lines]
    batches = score_completions(loaded.model, loaded.codec, texts, names=[f"line {i}" for i in ids], batch_size=batch_size)
    with counted(len(lines), "Scoring") as advance:
        for scores in batches:
            rows = [(ids[place], key, score.log_probability, score.tokens) for place, score in scores.items()]
            with store.transaction() as db:
                db.executemany("INSERT INTO likelihood VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
            advance(len(scores))
