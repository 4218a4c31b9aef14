"""What providers post: kept as it came, read by whoever is free, and what it says told to the notifications."""

from noti_worker.store.receipts.desk import Raw, ReceiptDesk, waiting
from noti_worker.store.receipts.letterbox import Letterbox

__all__ = ["Letterbox", "Raw", "ReceiptDesk", "waiting"]
