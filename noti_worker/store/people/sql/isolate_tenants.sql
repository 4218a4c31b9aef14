-- Switch the isolation of tenants on or off.
\set isolated true
SELECT noti.isolate_tenants(cast(:isolated AS boolean)) AS changed;
