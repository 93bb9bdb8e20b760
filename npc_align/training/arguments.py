"""The training arguments that both stages share, from their config sections to transformers' names."""

from __future__ import annotations

import os
from typing import Any

import torch

from npc_align.modeling.device import Device
from npc_align.training.config import OptimSection


def local_processes() -> int:
    """Processes of this run on this machine, as the launcher says."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE") or 1)


def shared_arguments(optim: OptimSection, device: Device, output_dir: str, seed: int, metric: str) -> dict[str, Any]:
    """Keyword arguments for SFTConfig and DPOConfig.

    Args:
        metric: evaluation metric, lower is better, that chooses the best checkpoint and stops early.
    """
    every = "epoch" if optim.eval_steps is None else "steps"
    return {
        "output_dir": output_dir,
        "seed": seed,
        "num_train_epochs": optim.epochs,
        "learning_rate": optim.learning_rate,
        "per_device_train_batch_size": optim.batch_size,
        "per_device_eval_batch_size": optim.eval_batch_size,
        "gradient_accumulation_steps": optim.gradient_accumulation,
        "warmup_steps": optim.warmup_ratio,  # transformers 5 reads a number below 1 as a share of the steps
        "weight_decay": optim.weight_decay,
        "lr_scheduler_type": optim.scheduler,
        "max_grad_norm": optim.max_grad_norm,
        "activation_checkpointing": optim.gradient_checkpointing,
        "logging_steps": optim.logging_steps,
        "logging_first_step": True,
        "eval_strategy": every,
        "save_strategy": every,
        "eval_steps": optim.eval_steps,
        "save_steps": optim.eval_steps or 500,
        "save_total_limit": optim.max_checkpoints,
        "load_best_model_at_end": True,
        "metric_for_best_model": metric,
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,
        "remove_unused_columns": False,
        "bf16": device.dtype == torch.bfloat16,
        "fp16": device.dtype == torch.float16,
        "use_cpu": device.name == "cpu",
        "dataloader_pin_memory": device.name != "cpu",
        "report_to": "none",
    }
