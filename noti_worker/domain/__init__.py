"""Pure rules of delivery: no I/O, no clock, no dice."""
