"""The benchmark: `python -m tests.bench` runs everything, `--smoke` a short form of it. No part of the test suite."""
