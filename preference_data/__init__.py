"""Stage 2: the room of `npc-pref`, which turns candidate lines into preference pairs for DPO.

Everything stands in one SQLite store: init -> generate, corrupt, import -> check -> pair -> label, review -> export. Only generating from
a model in this process needs torch.
"""
