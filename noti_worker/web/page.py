"""A page for people: one heading, one sentence, perhaps a form; nothing of it comes from elsewhere."""

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse

from noti_worker.domain.language import direction

_STYLE = """\
:root { color-scheme: light dark; --ground: #f4f4f2; --sheet: #fff; --ink: #1c1c1a; --soft: #5b5b56; --line: #deded9;
  --button: #1d4ed8; --on-button: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #161618; --sheet: #212124; --ink: #ededea; --soft: #b0b0aa; --line: #3a3a3f;
    --button: #8fb3ff; --on-button: #10182b; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; padding: 1rem; display: grid; place-items: center;
  background: var(--ground); color: var(--ink); font: 1.0625rem/1.55 system-ui, sans-serif; }
main { width: 100%; max-width: 30rem; padding: 2rem; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .75rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0; }
form { margin-top: 1.5rem; }
form p { margin-bottom: .75rem; color: var(--soft); }
fieldset { margin: 0 0 1.25rem; padding: 0 0 .25rem; border: 0; border-bottom: 1px solid var(--line); }
legend { padding: 0; font-weight: 600; }
.choice { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .25rem 1rem;
  min-height: 2.75rem; margin: .25rem 0; }
select { max-width: 100%; min-height: 2.75rem; padding: .25rem .5rem; font: inherit; color: inherit;
  background: var(--sheet); border: 1px solid var(--soft); border-radius: .5rem; }
select:disabled { opacity: .6; }
.saved { margin-top: 1rem; padding: .75rem 1rem; border: 1px solid var(--button); border-radius: .5rem; }
button { min-height: 2.75rem; padding: .5rem 1.25rem; font: inherit; font-weight: 600; cursor: pointer;
  border: 2px solid var(--button); border-radius: .5rem; background: var(--button); color: var(--on-button); }
button.quiet { background: transparent; color: var(--button); }
button:hover { filter: brightness(1.1); }
button:focus-visible, select:focus-visible { outline: 3px solid var(--ink); outline-offset: 3px; }
@media (max-width: 30rem) { main { padding: 1.5rem 1.25rem; } button { width: 100%; } }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")

HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-frame-options": "DENY",
}
"""The URL is what it takes to leave: it goes to nobody else, into no frame and no index."""


def button(name: str, value: str, label: str, question: str = "") -> str:
    """A form that posts `name`=`value` to the page's own URL; with a `question` before a quieter button."""
    asked = f"<p>{escape(question)}</p>" if question else ""
    kind = ' class="quiet"' if question else ""
    return (
        f'<form method="post">{asked}<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        f'<button type="submit"{kind}>{escape(label)}</button></form>'
    )


def page(
    language: str, heading: str, text: str, status: int = 200, *, category: str = "", form: str = ""
) -> HTMLResponse:
    """The page in `language`; `{category}` in `text` becomes `category`, in whatever direction that is written."""
    before, found, after = text.partition("{category}")
    named = f"<strong><bdi>{escape(category)}</bdi></strong>" if found else ""
    return HTMLResponse(
        f"""\
<!doctype html>
<html lang="{language}" dir="{direction(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>{escape(heading)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(heading)}</h1>
<p>{escape(before)}{named}{escape(after)}</p>
{form}
</main>
</body>
</html>
""",
        status,
        {**HEADERS, "content-language": language},
    )
