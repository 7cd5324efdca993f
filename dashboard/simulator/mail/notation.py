"""The small notation message texts are written in, and its reading into blocks.

Paragraphs are separated by empty lines. A line beginning with `= ` is a brand banner, `# ` a heading, `- ` a bullet,
`> ` a quoted line, `~ ` small print, `| label | value` a table row, `[[label]]` or `[[label|path]]` a button,
`[text|url]` a link (`@` stands for the campaign's own link), `!qr` a QR code, `---` a rule.
"""

from __future__ import annotations

import html

from dashboard.simulator.mail import blocks as b


def parse(text: str, *, link: str, colour: str) -> tuple[b.Block, ...]:
    """Blocks of a filled text; `link` is where the campaign's buttons lead."""
    found: list[b.Block] = []
    paragraph: list[str] = []

    def close() -> None:
        if paragraph:
            found.append(b.Paragraph("\n".join(paragraph)))
            paragraph.clear()

    for line in text.strip().split("\n"):
        block = _block(line.strip(), link, colour)
        if block is not None:
            close()
            previous = found[-1] if found else None
            if isinstance(block, b.Quote) and isinstance(previous, b.Quote):
                found[-1] = b.Quote(f"{previous.text}\n{block.text}")
            else:
                found.append(block)
        elif line.strip():
            paragraph.append(line.strip())
        else:
            close()
    close()
    return tuple(found)


def _block(line: str, link: str, colour: str) -> b.Block | None:
    mark, _, rest = line.partition(" ")
    simple = {"#": b.Heading, "-": b.Bullet, ">": b.Quote, "~": b.Small}.get(mark)
    if simple is not None:
        return simple(rest)
    if mark == "=":
        return b.Banner(rest, colour)
    if mark == "|":
        label, _, value = rest.partition(" | ")
        return b.Row(label, value)
    if line == "---":
        return b.Rule()
    if line == "!qr":
        return b.QrCode(link)
    if line.startswith("[[") and line.endswith("]]"):
        label, _, path = line[2:-2].partition("|")
        return b.Button(label, f"{link}/{path}" if path else link, colour)
    if line.startswith("[") and line.endswith("]"):
        label, _, href = line[1:-1].partition("|")
        return b.TextLink(label, link if href in {"", "@"} else href)
    return None


def to_text(body: tuple[b.Block, ...]) -> str:
    """The plain text alternative."""
    parts: list[str] = []
    for block in body:
        match block:
            case b.Bullet(text):
                parts.append(f"  * {text}")
            case b.Quote(text):
                parts.append("\n".join(f"> {line}" for line in text.split("\n")))
            case b.Banner(text, _):
                parts.append(f"{text}\n{'=' * min(len(text), 60)}")
            case b.Row(label, value):
                parts.append(f"{label}: {value}")
            case b.Button(label, href, _) | b.TextLink(label, href):
                parts.append(label if label == href else f"{label}\n{href}")
            case b.QrCode(_):
                parts.append("[QR code]")
            case b.Rule():
                parts.append("-" * 40)
            case b.Heading(text) | b.Paragraph(text) | b.Small(text):
                parts.append(text)
    return "\n\n".join(parts) + "\n"


def to_html(body: tuple[b.Block, ...], language: str) -> str:
    """The HTML alternative, in the plain table-free style of business mail."""
    out = [f'<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8"></head>\n<body style="{_BODY}">']
    out.extend(_html(block) for block in body)
    out.append("</body>\n</html>\n")
    return "\n".join(out)


_BANNER = "color:#ffffff;padding:14px 20px;font-size:20px"
_BODY = "font-family:Arial,Helvetica,sans-serif;font-size:15px;color:#1d2530"


def _html(block: b.Block) -> str:
    match block:
        case b.Heading(text):
            return f"<h2>{_escape(text)}</h2>"
        case b.Paragraph(text):
            return f"<p>{_escape(text)}</p>"
        case b.Bullet(text):
            return f"<ul><li>{_escape(text)}</li></ul>"
        case b.Quote(text):
            return f"<blockquote>{_escape(text)}</blockquote>"
        case b.Small(text):
            return f'<p style="font-size:12px;color:#5d6876">{_escape(text)}</p>'
        case b.Banner(text, colour):
            return f'<div style="background:{colour};{_BANNER}"><b>{_escape(text)}</b></div>'
        case b.Row(label, value):
            return f"<table><tr><td>{_escape(label)}</td><td><b>{_escape(value)}</b></td></tr></table>"
        case b.Button(label, href, colour):
            style = f"background:{colour};color:#ffffff;padding:12px 24px;text-decoration:none"
            return f'<p><a href="{html.escape(href)}" style="{style}">{_escape(label)}</a></p>'
        case b.TextLink(text, href):
            return f'<p><a href="{html.escape(href)}">{_escape(text)}</a></p>'
        case b.QrCode(_):
            return '<p><img src="cid:qr" alt="QR code" width="174" height="174"></p>'
        case b.Rule():
            return "<hr>"


def _escape(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>\n")


def links(body: tuple[b.Block, ...]) -> tuple[tuple[str, str], ...]:
    """Target and text of each link once, in reading order."""
    seen: dict[tuple[str, str], None] = {}
    for block in body:
        if isinstance(block, b.Button):
            seen[(block.href, block.label)] = None
        elif isinstance(block, b.TextLink):
            seen[(block.href, block.text)] = None
    return tuple(seen)
