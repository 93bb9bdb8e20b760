"""npc-align: short, in-character Korean NPC greetings under default decoding."""

__version__ = "0.1.0"
