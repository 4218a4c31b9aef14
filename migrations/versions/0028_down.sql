DELETE FROM noti.rights WHERE object IN ('unread', 'inbox_page', 'mark_seen', 'mark_read', 'mark_all_read', 'inbox_channel');
DROP TRIGGER inbox_came ON noti.inbox;
DROP TRIGGER inbox_marked ON noti.inbox;
CREATE INDEX inbox_recipient ON noti.inbox (tenant_id, recipient, created_at);
DROP INDEX noti.inbox_pages;
DROP INDEX noti.inbox_unread;
