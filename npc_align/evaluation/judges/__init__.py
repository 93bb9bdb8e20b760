"""Judges that took no part in building the pairs: what a model can't have learnt to please."""
