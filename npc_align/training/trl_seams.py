"""Every private name of TRL and transformers that this project relies on; `tests/unit/test_trl_seams.py` holds each to its form.

An upgrade of TRL that moves one of them fails that test, not a training run.
"""

# (module, attribute path, parameters that must exist)
SEAMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("trl.trainer.utils", "FusedCausalLMOutput", ("loss", "log_probs", "entropy", "mean_logits", "is_top1", "label_mask")),
    ("trl.trainer.utils", "maybe_gather_lm_head_ctx", ("params",)),
    ("trl.trainer.utils", "_use_triton", ("device",)),
    ("trl.trainer.dpo_trainer", "DPOTrainer._prepare_dataset", ("dataset", "processing_class", "args", "dataset_name")),
    ("trl.trainer.dpo_trainer", "DPOTrainer._compute_loss", ("model", "inputs", "return_outputs")),
    ("trl.trainer.dpo_trainer", "DPOTrainer.compute_ref_log_probs", ("model", "inputs")),
    ("trl.models.utils", "prepare_deepspeed", ("model", "accelerator")),
    # It reads model._weight_conversions, which load_exaone empties.
    ("transformers.core_model_loading", "revert_weight_conversion", ("model", "state_dict")),
    ("transformers.trainer", "Trainer._get_train_sampler", ("train_dataset",)),
    ("transformers.trainer", "Trainer._get_num_items_in_batch", ("batch_samples", "device")),
    ("transformers.trainer", "Trainer._get_grad_norm", ("model", "grad_norm")),
    ("transformers.trainer", "Trainer.evaluation_loop", ("metric_key_prefix",)),
)
