"""`npc-chat`: choose attributes or type freely, read the line that a model answers with, or two models' side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.cli import DEFAULT_DOMAIN, FriendlyCommand
from npc_align.errors import UserError
from npc_align.training.launch import quiet_libraries

if TYPE_CHECKING:
    from npc_align.domain import Attributes
    from npc_align.evaluation.speaker import Speaker
    from npc_align.modeling.generation import Decoding, Line

_SAMPLING = ("temperature", "top_p", "top_k", "min_p")


@click.command(cls=FriendlyCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model", required=True, metavar="RUN", help="Run folder, checkpoint, adapter, merged model, or `embedded`.")
@click.option("--compare", metavar="RUN", help="A second model, asked the same.")
@click.option("--domain", "domain_name", default=None, metavar="NAME|PATH", help="Default: the model's own.")
@click.option("--free", is_flag=True, help="Type anything instead of choosing attributes; each message stands alone.")
@click.option("--attributes", "file", type=click.Path(path_type=Path), help="JSON of attributes to answer; `-`: standard input.")
@click.option("--once", is_flag=True, help="Answer --attributes and end: one line of output per set of attributes.")
@click.option(
    "--decoding", "decoding_name", default="default", show_default=True, help="`default` or a preset; see `npc-eval presets`."
)
@click.option("--temperature", type=click.FloatRange(0, min_open=True), help="This and the next three sample instead of greedy.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True))
@click.option("--top-k", type=click.IntRange(0))
@click.option("--min-p", type=click.FloatRange(0, 1))
@click.option("--repetition-penalty", type=click.FloatRange(0, min_open=True))
@click.option("--max-new-tokens", type=click.IntRange(1), help="Default: the decoding's own.")
@click.option("--seed", type=int, help="Makes sampled answers repeatable.")
@click.option("--json", "as_json", is_flag=True, help="With --once: one JSON object per answer.")
def main(
    model: str, compare: str | None, domain_name: str | None, free: bool, file: Path | None, once: bool, decoding_name: str,
    max_new_tokens: int | None, seed: int | None, as_json: bool, **knobs: float | None,
) -> None:  # fmt: skip
    """Choose attributes and read a model's line, under default decoding, until Ctrl-D ends it.

    What the checks find wrong with a line stands below it.

    \b
    Examples:
      npc-chat --model runs/dpo
      npc-chat --model runs/dpo --compare runs/sft --temperature 0.7 --top-p 0.9
      npc-chat --model runs/dpo/checkpoint-100 --free
      npc-chat --model runs/dpo --once --attributes adventurer.json --json
    """
    quiet_libraries()
    if once != (file is not None) or (as_json and not once) or (once and free):
        raise click.UsageError("--once and --attributes FILE go together; --json needs them, --free excludes them")
    if compare == model:
        raise UserError(f"--compare {compare}: that is --model itself; name another run or checkpoint")
    asked = _asked(file, model, domain_name) if file else []  # before anything heavy: a bad file is told at once
    decoding = _decoding(decoding_name, max_new_tokens, knobs)
    paths = {model: "A", compare: "B"} if compare else {model: ""}
    speakers = _load({path: label for path, label in paths.items() if path}, decoding, domain_name, quiet=once)
    if seed is not None:
        import torch

        torch.manual_seed(seed)
    if once:
        _answer(speakers, asked, as_json)
    elif free:
        _converse(speakers, lambda: _answer_message(speakers, click.prompt("\nYou", prompt_suffix="> ")))
    else:
        click.echo("Choose by number or value; Enter leaves an attribute unset. Ctrl-D ends.")
        _converse(speakers, lambda: _answer_choice(speakers))


def _asked(file: Path, model: str, domain_name: str | None) -> list[Attributes]:
    from npc_align.domain import load_domain
    from npc_align.evaluation.asking import read_attributes
    from npc_align.modeling.identity import trained_domain

    return read_attributes(file, load_domain(domain_name or trained_domain(model) or DEFAULT_DOMAIN))


def _load(labels: Mapping[str, str], decoding: Decoding, domain_name: str | None, *, quiet: bool) -> list[Speaker]:
    """The models by path and label; a script's stderr stays free of transformers' bars, a person is told what takes its time."""
    from transformers.utils.logging import disable_progress_bar

    from npc_align.evaluation.speaker import Speaker
    from npc_align.modeling.device import choose_device

    disable_progress_bar()
    device, speakers = choose_device(), []
    for path, label in labels.items():
        if not quiet:
            click.echo(f"loading {path}", err=True)
        speakers.append(Speaker.load(label, path, decoding, device, domain_name))
    return speakers


def _decoding(name: str, max_new_tokens: int | None, knobs: dict[str, float | None]) -> Decoding:
    """The preset with what the command line sets besides; a sampling knob makes it sample."""
    from npc_align.evaluation.presets import preset
    from npc_align.modeling.generation import Decoding

    base = preset(name)
    given: dict[str, Any] = {key: value for key, value in knobs.items() if value is not None}
    if any(key in given for key in _SAMPLING):
        given["do_sample"] = True
    return Decoding(base.name, max_new_tokens or base.max_new_tokens, {**base.knobs, **given})


def _converse(speakers: Sequence[Speaker], turn: Callable[[], None]) -> None:
    for speaker in speakers:
        if speaker.label:
            click.echo(f"{speaker.label}: {speaker.loaded.name}")
    while True:
        try:
            turn()
        except (EOFError, click.Abort):
            click.echo()
            return


def _answer_message(speakers: Sequence[Speaker], message: str) -> None:
    from npc_align.prompt import render_message

    for speaker in speakers:
        loaded = speaker.loaded
        _speak(speaker, render_message(message, loaded.renderer, loaded.tokenizer))


def _answer_choice(speakers: Sequence[Speaker]) -> None:
    from npc_align.checks import check_line
    from npc_align.evaluation.asking import ask

    attributes = ask(speakers[0].loaded.domain)
    click.echo()
    for speaker in speakers:
        line = _speak(speaker, _prompt(speaker, attributes))
        for violation in check_line(line.text, attributes, speaker.loaded.domain, finished=line.finished):
            click.echo(f"   {violation.kind}: {violation.message}")
    click.echo()


def _speak(speaker: Speaker, prompt: str) -> Line:
    """Say the answer on the terminal as it comes."""
    click.secho(f"{speaker.label}> ", nl=False, bold=True)
    sys.stdout.flush()
    line = speaker.say(prompt, stream=True)
    if not line.finished:
        click.secho(f"   (cut at --max-new-tokens {speaker.decoding.max_new_tokens})", dim=True)
    return line


def _prompt(speaker: Speaker, attributes: Attributes) -> str:
    from npc_align.prompt import render

    loaded = speaker.loaded
    return render(attributes, loaded.domain, loaded.renderer, loaded.tokenizer)


def _answer(speakers: Sequence[Speaker], asked: Sequence[Attributes], as_json: bool) -> None:
    for attributes in asked:
        for speaker in speakers:
            line = speaker.say(_prompt(speaker, attributes), stream=False)
            if as_json:
                click.echo(json.dumps(_record(speaker, attributes, line), ensure_ascii=False))
            else:
                text = " ".join(line.text.split())  # a base model breaks lines, and a script counts them
                click.echo(f"{speaker.label}> {text}" if speaker.label else text)


def _record(speaker: Speaker, attributes: Attributes, line: Line) -> dict[str, Any]:
    from dataclasses import asdict

    from npc_align.checks import check_line

    found = check_line(line.text, attributes, speaker.loaded.domain, finished=line.finished)
    return {
        "model": speaker.loaded.name,
        "attributes": attributes,
        "line": line.text,
        "finished": line.finished,
        "violations": [asdict(violation) for violation in found],
    }


if __name__ == "__main__":
    main()
