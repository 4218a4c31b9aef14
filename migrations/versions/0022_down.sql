DELETE FROM noti.rights
 WHERE object IN ('endpoints', 'events', 'envelopes', 'tell', 'pump_events', 'test_endpoint', 'recover_endpoint');
DROP TRIGGER endpoints_odd ON noti.endpoints;
DROP TRIGGER endpoints_change ON noti.endpoints;
