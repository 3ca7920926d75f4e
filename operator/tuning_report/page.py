"""The page for looking at studies: its files, and the frozen report, in which they and one study's document are one
HTML file that works without a network.

The report's modules are the same files that the dashboard's server sends; an import map tells where they are.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from tuning_report import comparison, recorded
from tuning_report.comparison import Told
from tuning_report.document import document
from tuning_report.importance import importances
from tuning_report.round_history import History
from tuning_store.record import Line

START = 'import "tuning/main.js";'
_STYLE = "page.css"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_UNESCAPED = "".join(map(chr, range(0x20, 0x7F))).translate({ord(c): None for c in '%#<"\\'})


def write(history: History, path: Path) -> None:
    """The report of a round. Takes seconds for a long one: importances are computed."""
    _write(path, frozen(history, datetime.now(UTC)))


def write_comparison(told: Told, path: Path) -> None:
    """The report of a comparison."""
    _write(path, frozen_comparison(told, datetime.now(UTC)))


def write_record(name: str, lines: Sequence[Line], path: Path) -> None:
    """The record of a study as a time line of what was in production, and why."""
    _write(path, frozen_record(name, lines, datetime.now(UTC)))


def frozen(history: History, now: datetime) -> str:
    """The round as an HTML file. `now` is when it was read, in UTC."""
    told = {"document": document(history, now), "importances": importances(history)}
    return _frozen(f"{history.resolved.name} · tuning report", told)


def frozen_comparison(told: Told, now: datetime) -> str:
    """The comparison as an HTML file. `now` is when it was made, in UTC."""
    compared = comparison.data_for_page(told) | {"written": now.isoformat(timespec="seconds")}
    return _frozen(f"{told.study} · tuning comparison", {"compared": compared})


def frozen_record(name: str, lines: Sequence[Line], now: datetime) -> str:
    """The record as an HTML file. `now` is when it was read, in UTC."""
    told = recorded.data_for_page(name, lines) | {"written": now.isoformat(timespec="seconds")}
    return _frozen(f"{name} · tuning record", {"record": told})


def _frozen(title: str, told: Mapping[str, Any]) -> str:
    style = assets()[_STYLE].decode()
    modules = import_map({name: _data_url(source) for name, source in assets().items() if name.endswith(".js")})
    policy = content_policy(scripts=[*script_sources(modules), "data:"], styles=[_source(style)])
    return shell(
        title=title,
        modules=modules,
        policy=f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        style=f"<style>{style}</style>",
        data=f'<script type="application/json" id="document">{for_script(told)}</script>',
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def shell(
    *,
    title: str,
    modules: str,
    style: str,
    policy: str = "",
    preloads: str = "",
    data: str = "",
    has_fleet: bool = False,
) -> str:
    """The HTML around the page. All but the title is HTML already. Nothing may be loaded before the import map.
    `has_fleet` is whether the server has pages of studies in production."""
    return Template(_read("index.html").decode()).substitute(
        title=escape(title),
        modules=modules,
        style=style,
        policy=policy,
        preloads=preloads,
        data=data,
        start=START,
        page="data-fleet" if has_fleet else "",
    )


@cache
def assets() -> Mapping[str, bytes]:
    """Style and modules by name, with echarts.js among them."""
    folder = files("tuning_report") / "page"
    found = [entry for place in (folder, folder / "vendor") for entry in place.iterdir()]
    return {entry.name: entry.read_bytes() for entry in found if Path(entry.name).suffix in _TYPES}


def content_type(name: str) -> str:
    return _TYPES[Path(name).suffix]


def import_map(places: Mapping[str, str]) -> str:
    """Where the page's modules are, for <script type="importmap">."""
    return for_script({"imports": {f"tuning/{name}": place for name, place in sorted(places.items())}})


def content_policy(*, scripts: Sequence[str], styles: Sequence[str], connect: str = "'none'") -> str:
    """Nothing is loaded, sent or run but what is named."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(scripts)}",
            f"style-src {' '.join(styles)}",
            f"connect-src {connect}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def script_sources(modules: str) -> list[str]:
    """The two scripts that stand in the HTML itself."""
    return [_source(modules), _source(START)]


def for_script(value: Any) -> str:
    """JSON that can stand inside <script>: what could end the element, or start a comment, is escaped."""
    return escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def escaped(text: str) -> str:
    """The same of what is JSON already."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _source(text: str) -> str:
    """As a content policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data_url(source: bytes) -> str:
    """Percent-encoded: a fifth shorter than base64, and legible."""
    return f"data:text/javascript;charset=utf-8,{quote(source, safe=_UNESCAPED)}"


def _read(name: str) -> bytes:
    return (files("tuning_report") / "page" / name).read_bytes()
