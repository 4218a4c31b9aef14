-- A provider asked us to wait, and its account has no rate that could be slowed: nothing goes through it for so many seconds.
\set account '''relay'''
\set hold 1
INSERT INTO noti.spent AS s (scope, tenant_id, name, period, amount, until)
VALUES ('account', '', cast(:account AS text), '', 0, clock_timestamp() + cast(:hold AS float8) * interval '1 second')
ON CONFLICT ON CONSTRAINT spent_pkey DO UPDATE
   SET since = CASE WHEN s.until > clock_timestamp() THEN s.since ELSE clock_timestamp() END, until = greatest(s.until, EXCLUDED.until);
