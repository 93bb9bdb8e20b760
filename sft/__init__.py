"""Stage 1: label-masked LoRA fine-tuning on greetings."""
