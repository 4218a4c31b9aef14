"""`python -m noti_worker` is the command `noti-worker`."""

from noti_worker.cli.main import main

if __name__ == "__main__":
    main()
