"""A preview of a mail for a browser: as wide as a mail program and a phone show it, beside its text."""

from html import escape

from noti_worker.cli.template_rendering import Shown

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ margin: 0; font: 15px/1.5 system-ui, sans-serif; background: #eceff1; color: #263238; }}
header {{ background: #fff; border-bottom: 1px solid #cfd8dc; padding: 12px 24px; }}
h1 {{ font-size: 18px; margin: 0; }}
header p, h2 {{ color: #607d8b; font-size: 13px; font-weight: normal; margin: 4px 0; }}
main {{ display: flex; flex-wrap: wrap; gap: 24px; padding: 16px 24px; align-items: flex-start; }}
iframe, pre {{ background: #fff; border: 1px solid #cfd8dc; border-radius: 6px; height: 720px; }}
iframe, pre {{ box-sizing: border-box; }}
pre {{ margin: 0; padding: 16px; width: 360px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }}
</style></head><body>
<header><h1>{subject}</h1><p>{about}</p></header>
<main>
<section><h2>in a window of 680</h2><iframe sandbox style="width: 680px" srcdoc="{html}"></iframe></section>
<section><h2>on a telephone, 375</h2><iframe sandbox style="width: 375px" srcdoc="{html}"></iframe></section>
<section><h2>{text_is}</h2><pre>{text}</pre></section>
</main></body></html>
"""


def page(shown: Shown, about: str) -> str:
    """The preview; what the template says can neither run a script nor leave its frame."""
    return _PAGE.format(
        title=escape(about),
        subject=escape(shown.subject or "(no subject)"),
        about=escape(about),
        html=escape(shown.html or ""),
        text_is="text, made from the HTML" if shown.made else "text",
        text=escape(shown.text or ""),
    )
