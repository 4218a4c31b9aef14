"""What strangers reach, in a process of its own: it takes what providers post. Read `receipts.py` first."""
