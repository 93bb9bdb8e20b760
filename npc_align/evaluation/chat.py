"""`npc-chat`: choose attributes, read the line that a model answers with."""

from __future__ import annotations

import click

from npc_align.cli import FriendlyCommand
from npc_align.domain import Attribute, Attributes, Domain, Value
from npc_align.training.launch import quiet_libraries


@click.command(cls=FriendlyCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model", required=True, metavar="RUN", help="Run folder, adapter, merged model, or `embedded`.")
@click.option("--domain", "domain_name", default=None, metavar="NAME|PATH", help="Default: the model's own.")
@click.option(
    "--decoding", "decoding_name", default="default", show_default=True, help="`default` or a preset; see `npc-eval presets`."
)
@click.option("--seed", default=None, type=int, help="For presets that sample.")
def main(model: str, domain_name: str | None, decoding_name: str, seed: int | None) -> None:
    """Ask for attributes and answer with a line, until Ctrl-D ends it.

    \b
    Example:
      npc-chat --model runs/dpo
    """
    quiet_libraries()
    from npc_align.checks import check_line
    from npc_align.evaluation.presets import preset
    from npc_align.modeling.device import choose_device
    from npc_align.modeling.generation import generate_lines
    from npc_align.modeling.load import load_for_generation
    from npc_align.prompt import render

    decoding, device = preset(decoding_name), choose_device()
    loaded = load_for_generation(model, device.dtype, device.name, domain=domain_name)
    click.echo("Choose by number or value; Enter leaves an attribute unset. Ctrl-D ends.")
    while True:
        try:
            attributes = ask(loaded.domain)
        except (EOFError, click.Abort):
            click.echo()
            return
        prompt = render(attributes, loaded.domain, loaded.renderer, loaded.tokenizer)
        (line,) = generate_lines(loaded.model, loaded.codec, [prompt], decoding, seed=seed)
        click.secho(f"\n{line.text}", bold=True)
        for violation in check_line(line.text, attributes, loaded.domain, finished=line.finished):
            click.echo(f"  {violation.kind}: {violation.message}")
        click.echo()


def ask(domain: Domain) -> Attributes:
    """Attributes from the terminal, asked until they are coherent."""
    while True:
        attributes: Attributes = {}
        for attribute in domain.attributes:
            value = _ask_one(attribute)
            if value is not None:
                attributes[attribute.key] = value
        wrong = domain.problems(attributes)
        if not wrong:
            return attributes
        click.echo(f"{wrong[0]}\nOnce more:")


def _ask_one(attribute: Attribute) -> Value | None:
    values = list(attribute.labels)
    choices = "  ".join(f"{i}) {attribute.labels[v]}" for i, v in enumerate(values, 1))
    while True:
        answer = click.prompt(f"{attribute.prompt_key}: {choices}\n>", default="", show_default=False, prompt_suffix=" ").strip()
        if not answer:
            return None
        by_label = {label: value for value, label in attribute.labels.items()}
        if answer in by_label:
            return by_label[answer]
        if answer.isdecimal() and 1 <= int(answer) <= len(values):
            return values[int(answer) - 1]
        click.echo(f"{answer!r}: choose 1 to {len(values)}, or one of {', '.join(by_label)}")


if __name__ == "__main__":
    main()
