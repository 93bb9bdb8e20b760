"""Stage 2: DPO.

    accelerate launch dpo/train.py [--config configs/dpo/default.yaml] [section.key=value ...]

Without arguments it continues runs/sft on runs/pref/preferences.jsonl. The same command resumes an interrupted run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dpo.config import DPORunConfig
from npc_align.cli import friendly_errors
from npc_align.training.config import load_config
from npc_align.training.launch import quiet_libraries, refuse_dead_locks

ROOT = Path(__file__).resolve().parent.parent


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path), default=ROOT / "configs/dpo/default.yaml", help="YAML file of the run."
)
@click.argument("overrides", nargs=-1)
def main(config: Path, overrides: tuple[str, ...]) -> None:
    """Align an SFT adapter on preference pairs. OVERRIDES: section.key=value, e.g. loss.beta=0.2."""
    with friendly_errors():
        run = load_config(DPORunConfig, config, overrides)
        quiet_libraries()
        refuse_dead_locks()
        from dpo.stage import train

        train(run)


if __name__ == "__main__":
    sys.exit(main())
