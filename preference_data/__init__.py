"""Stage 2: the room of `npc-pref`, which turns sampled candidate lines into preference pairs for DPO.

generate (needs torch) -> check -> pair -> export; each step reads one JSONL file and writes the next.
"""
