-- What was lifted at an address: few, and asked for before an old report counts, and before a link takes back once more.
CREATE INDEX suppressions_lifted ON noti.suppressions (address_hash) WHERE lifted_at IS NOT NULL;
