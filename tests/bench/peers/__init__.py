"""Other queues, each as a program that fills its tables or works; they run in the peers' environment, not in ours."""
