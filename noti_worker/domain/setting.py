"""What a field of a settings dataclass says about itself, to who reads the configuration and to the documentation."""


def about(help: str, **more: object) -> dict[str, object]:  # noqa: A002
    """Metadata of a field: `help` is one sentence; `more` are the bounds that `noti_worker.settings.coercion` knows."""
    return {"help": help, **more}
