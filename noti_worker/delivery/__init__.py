"""The hallway: from a claimed row to what became of it. Read `deliver.py` first."""
