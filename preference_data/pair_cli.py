"""The command that makes pairs of a store's checked lines."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from npc_align.cli import json_option, listed
from preference_data.options import opened, store_option

_PATH = click.Path(path_type=Path, dir_okay=False)
_CORRUPTED_SHARE = 0.6


@click.command()
@store_option
@click.option("--corpus", type=_PATH, help="Whose validation and test prompts give no pairs; default: the domain's own.")
@click.option(
    "--mode", type=click.Choice(["pair", "line"]), default="pair", show_default=True, help="line: lines to judge one by one."
)
@click.option(
    "--chosen",
    type=click.Choice(["sampled", "corpus"]),
    default="sampled",
    show_default=True,
    help="Which lines may be chosen, besides those that people approved: the model's own clean draws, or corpus lines.",
)
@click.option("--limit", type=click.IntRange(1), help="At most N pairs, with --mode line N lines.")
@click.option("--per-prompt", default=2, show_default=True, type=click.IntRange(1), help="The most pairs of one prompt.")
@click.option(
    "--corrupted-share",
    type=click.FloatRange(0, 1),
    help=f"For --chosen corpus: the largest share of corruptions.  [default: {_CORRUPTED_SHARE}]",
)
@click.option("--kind-cap", default=0.4, show_default=True, type=click.FloatRange(0, 1), help="The largest share of one kind.")
@click.option("--mix", default="", metavar="KIND=N,…", help="A kind that is to have N times as many pairs as others.")
@click.option("--max-similarity", default=0.9, show_default=True, type=click.FloatRange(0, 1), help="Of a pair's two lines.")
@click.option("--hold-out", default="", metavar="KIND,…", help="Kinds that take no part, for an evaluation that pairs never saw.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--order",
    type=click.Choice(["prompt", "uncertain"]),
    default="prompt",
    show_default=True,
    help="In which order people see the pairs. uncertain: those first on which the model is least sure.",
)
@click.option(
    "--model",
    help="For --order uncertain: run folder, adapter, merged model or `embedded` (needs torch).  [default: the one asked last]",
)
@click.option("--batch-size", default=16, show_default=True, type=click.IntRange(1), help="For --order uncertain.")
@json_option
def pair(
    store_path: Path,
    corpus: Path | None,
    mode: str,
    chosen: str,
    limit: int | None,
    per_prompt: int,
    corrupted_share: float | None,
    kind_cap: float,
    mix: str,
    max_similarity: float,
    hold_out: str,
    seed: int,
    order: str,
    model: str | None,
    batch_size: int,
    as_json: bool,
) -> None:
    """Pair each bad line with a good one for the same attributes, balanced over kinds and personalities.

    Rejected are the mistakes of the model sampled last (npc-pref generate) before those of earlier rounds: they are the ones still made.
    Pairs of an earlier run that nobody has judged or been assigned make way.

    Chosen is what the model sampled last said for the same prompt, where no rule finds anything: the draw nearest in length to the rejected
    line, and one that tells how the last quest ended where the rejected line does. Against a mere wrong result a line that tells none
    makes no pair, since that would teach silence; more draws help (npc-pref generate --mistaken result_contradiction --samples 8 --seed 1).

    Both sides of samples are in the model's own voice then, and what tells them apart is the mistake. Corpus lines instead (--chosen
    corpus), against samples and corruptions (npc-pref corrupt), teach another voice, too, which a small model speaks worse; they are for
    a model that says hardly a clean line.

    --mix aims at what the model gets wrong under the decoding that matters: what npc-eval run or the samples of the last training run show.

    --order uncertain puts those pairs first whose two lines the model holds nearly equally likely (mean log-probability per token), so
    that people judge what matters. The log-probabilities stay in the store, so the same model is never asked twice for a line.

    \b
    Example: npc-pref pair
    Example: npc-pref pair --per-prompt 1 --hold-out josa_error,broken_form
    Example: npc-pref pair --mix class_item_mismatch=4,result_contradiction=3 --limit 600
    Example: npc-pref pair --chosen corpus
    Example: npc-pref pair --order uncertain --model runs/sft
    Example: npc-pref pair --mode line --limit 200
    """
    from preference_data.likelihoods import pair_margins
    from preference_data.pairing import line_tasks, pair_store
    from preference_data.pairs import Limits

    if model is not None and order != "uncertain":
        raise click.UsageError("--model is for --order uncertain")
    if mode == "line":
        if order == "uncertain":
            raise click.UsageError("--order uncertain compares two lines; it goes with --mode pair")
        with opened(store_path) as store:
            click.echo(f"{store_path}: {line_tasks(store, limit, corpus)} new lines to judge; run: npc-pref label --mode line")
        return

    own_lines = chosen == "sampled"
    if own_lines and corrupted_share is not None:
        raise click.UsageError("--corrupted-share is for --chosen corpus: beside the model's own lines no corruption is put")
    share = 1.0 if own_lines else _CORRUPTED_SHARE if corrupted_share is None else corrupted_share
    limits = Limits(per_prompt, kind_cap, max_similarity, corrupted_share=share, mix=_weights(mix), total=limit)
    held_out = listed(hold_out)
    with opened(store_path) as store:
        scorer = partial(pair_margins, store, model=model, batch_size=batch_size) if order == "uncertain" else None
        report = pair_store(store, limits, held_out, corpus, seed, scorer, own_lines=own_lines)
    click.echo(
        json.dumps(report, ensure_ascii=False) if as_json else f"{store_path}: {report['pairs']} pairs\n{_readable(report)}"
    )


def _weights(text: str) -> dict[str, float]:
    """`KIND=N,…` as a mapping."""
    weights = {}
    for part in listed(text):
        kind, _, number = part.partition("=")
        try:
            weights[kind.strip()] = float(number)
        except ValueError as error:
            raise click.BadParameter(f"{part!r}: write KIND=NUMBER, e.g. tone_break=2", param_hint="--mix") from error
    return weights


def _readable(report: dict[str, Any]) -> str:
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_inner(count)}" for key, count in value.items())
        if isinstance(value, list):
            value = ", ".join(value) or "none"
        lines.append(f"  {name.replace('_', ' ')}: {value}")
    return "\n".join(lines)


def _inner(value: Any) -> str:
    return f"({', '.join(f'{name} {count}' for name, count in value.items())})" if isinstance(value, dict) else str(value)
