"""Stage 1: label-masked LoRA SFT.

    accelerate launch sft/train.py [--config configs/sft/default.yaml] [--preview] [section.key=value ...]

Without arguments it trains the embedded model on the shipped corpus. The same command resumes an interrupted run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from npc_align.cli import friendly_errors
from npc_align.training.config import load_config
from npc_align.training.launch import quiet_libraries, refuse_dead_locks
from sft.config import SFTRunConfig

ROOT = Path(__file__).resolve().parent.parent


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path), default=ROOT / "configs/sft/default.yaml", help="YAML file of the run."
)
@click.option("--preview", is_flag=True, help="Print three examples, token by token with their labels, and stop.")
@click.argument("overrides", nargs=-1)
def main(config: Path, preview: bool, overrides: tuple[str, ...]) -> None:
    """Fine-tune a LoRA adapter on greetings. OVERRIDES: section.key=value, e.g. optim.epochs=3."""
    with friendly_errors():
        run = load_config(SFTRunConfig, config, overrides)
        quiet_libraries()
        refuse_dead_locks()
        from sft.stage import preview_examples, train

        if preview:
            preview_examples(run)
        else:
            train(run)


if __name__ == "__main__":
    sys.exit(main())
