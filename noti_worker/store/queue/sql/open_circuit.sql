-- Open the circuit of an account; `opened` is false when somebody did before.
\set worker_id 1
\set account '''relay'''
\set reason '''the server refused the login'''
\set first_wait '''30 seconds'''
\set longest_wait '''10 minutes'''
SELECT noti.open_circuit(
           cast(:account AS text), cast(:reason AS text), 'worker ' || cast(cast(:worker_id AS bigint) AS text),
           cast(:first_wait AS interval), cast(:longest_wait AS interval)) AS opened;
