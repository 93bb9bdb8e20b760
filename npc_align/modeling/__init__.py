"""Load a base model, resolve LoRA targets, tokenise and mask, generate, merge. Importing this needs the `[train]` extra."""
