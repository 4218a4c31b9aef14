DELETE FROM noti.rights WHERE object IN ('unsubscribe', 'resubscribe');
DROP INDEX noti.suppressions_lifted;
