"""`npc-pref label`: people judge lines, on a full screen (app.py) or by plain prompts (plain.py), both over one Session."""
