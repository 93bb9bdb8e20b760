"""Stage 2: DPO on preference pairs, continuing the SFT adapter."""
