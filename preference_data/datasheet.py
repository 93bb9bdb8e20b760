"""The datasheet beside an export, in Markdown, from its manifest: what is in the file, who judged it, and how far they agree.

The questions are those of Gebru et al. 2021, Datasheets for Datasets, doi:10.1145/3458723.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Manifest = Mapping[str, Any]

_WHAT = {
    "dpo": "pairs of lines for TRL's DPOTrainer: prompt, chosen, rejected",
    "kto": "single lines for TRL's KTOTrainer: prompt, completion, label (true: good or chosen; false: bad or rejected)",
    "sft": "single lines for TRL's SFTTrainer: prompt, completion; good and chosen ones only",
    "argilla": "pairs of lines as records for Argilla",
    "label-studio": "pairs of lines as tasks for Label Studio",
    "csv": "a table of pairs and judged lines for reading; a cell that a spreadsheet would run as a formula begins with an apostrophe",
}


def datasheet(manifest: Manifest) -> str:
    """Markdown text; figures are the manifest's own."""
    sections = (
        ("What it is", _composition(manifest)),
        ("Where the lines come from", _origins(manifest)),
        ("Who judged", _judges(manifest)),
        ("What was left out", _filters(manifest)),
        ("Uses and limits", _limits(manifest)),
    )
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections)
    return f"# Datasheet of {manifest['output']['name']}\n\n{text}\n"


def _composition(manifest: Manifest) -> str:
    made = f"{manifest['rows']} rows from {manifest['pairs']} pairs"
    made += f" and {sum(manifest['lines'].values())} lines judged by themselves ({_counts(manifest['lines'])})" * bool(
        manifest["lines"]
    )
    labels = f" Labels: {_counts(manifest['labels'])}." if "labels" in manifest else ""
    return (
        f"Korean game dialogue, {_WHAT[manifest['format']]}. {made}, for {manifest['prompts']} prompts in {manifest['groups']} groups; split by "
        f"`group`, never by row, or near-duplicates train and test alike.{labels} Domain `{manifest['domain']['name']}` "
        f"({manifest['domain']['hash']}). Made {manifest['made_at']}; SHA-256 {manifest['output']['sha256']}."
    )


def _origins(manifest: Manifest) -> str:
    return (
        f"Chosen or good: {_counts(manifest['chosen_origins']) or 'none'}. Rejected or bad: {_counts(manifest['rejected_origins']) or 'none'}.\n\n"
        "corpus: written for these attributes; augmented: such a line copied to other attributes by `npc-data augment`; edited: a person's "
        "better line; sampled: from a model; corrupted: a corpus line with one mistake put in; "
        f"imported: as a file brought it. What is wrong with the rejected: {_counts(manifest['kinds']) or 'nothing that has a name'}."
    )


def _judges(manifest: Manifest) -> str:
    rows = manifest["judges"]
    told = [f"{rows.get('person', 0)} by people, {rows.get('auto', 0)} by the checks alone (rules {manifest['rules_hash']})."]
    if manifest["annotators"]:
        told.append(
            f"Whose word stands: {_counts(manifest['annotators'])}. Names are as given to npc-pref; replace them before you publish."
        )
    told += [f"- {mode}: {_agreement(found)}" for mode, found in manifest["agreement"].items()]
    return "\n".join(told)


def _agreement(found: Manifest) -> str:
    parts = [f"{found['tasks']} tasks with an opinion"]
    for name, key in (("raw agreement", "raw"), ("Krippendorff's alpha", "alpha"), ("self-consistency", "self_consistency")):
        figure = found[key]
        if figure["value"] is None:
            parts.append(f"{name}: {figure['why']} (n={figure['n']})")
        else:
            interval = "" if figure["low"] is None else f" [{figure['low']:.2f}, {figure['high']:.2f}]"
            parts.append(f"{name} {figure['value']:.2f}{interval} (n={figure['n']})")
    return ", ".join(parts)


def _filters(manifest: Manifest) -> str:
    told = [f"Left out: {_counts(manifest['left_out'])}." if manifest["left_out"] else "Nothing was left out."]
    told += ["Only what people have judged is in it."] * manifest["judged_only"]
    if manifest["held_out_kinds"]:
        told.append(f"Held out for evaluation, so that no pair shows them: {', '.join(manifest['held_out_kinds'])}.")
    return " ".join(told)


def _limits(manifest: Manifest) -> str:
    return (
        "For preference tuning of models that speak in this game's world. The rules that rejected lines on their own don't see sense: "
        "evaluate with judges that took no part in this file, and read lines. Ties and disputed tasks are not in it, so that it looks clearer than the "
        "judging was."
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
