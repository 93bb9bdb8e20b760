"""What both training stages share: config, run folder, guards, gate, plots."""
