-- What is not sent now, and why. The tables behind it are tiny: every worker asks about once a second.
SELECT c.cause, c.scope, c.tenant_id, c.name, c.until
  FROM noti.closures c;
