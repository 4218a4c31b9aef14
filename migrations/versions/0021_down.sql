DELETE FROM noti.rights WHERE object IN ('unsubscribe', 'resubscribe');
