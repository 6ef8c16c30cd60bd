"""How the steward's pages look: one style sheet, light and dark, from a phone to a wide screen.

Pages load nothing: no font, no script library, no picture.
"""

import html
from string import Template

STYLE = """
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#1b1f27;--soft:#667085;
--line:#e3e6ec;--for:#2f6fdb;--against:#d9631e;--prior:#98a1b2;--sum:#1b1f27;--home:#8a63c9;
--mark:#fff0e2;--mark-ink:#8f3d0a;--tint:#eef3fd;--good:#1c7c54;
--shadow:0 1px 2px rgb(16 24 40/.06)}
@media (prefers-color-scheme:dark){:root{--page:#12151b;--card:#1b2028;--ink:#e8ebf1;--soft:#98a2b5;
--line:#2c333f;--for:#6fa3ff;--against:#ff9a5c;--prior:#717c90;--sum:#e8ebf1;--home:#b596ec;
--mark:#3c2a1c;--mark-ink:#ffc093;--tint:#1f2a3d;--good:#5bc796;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:22px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:16px;margin:0 0 10px}
h3{font-size:14px;margin:22px 0 8px;color:var(--soft);font-weight:600}
p{margin:0 0 10px}a{color:var(--for)}.soft{color:var(--soft)}.small{font-size:13px}
.num{font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:13px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px;
margin:16px 0;box-shadow:var(--shadow)}
.top{display:flex;flex-wrap:wrap;gap:8px 20px;align-items:baseline;justify-content:space-between}
.big{font-size:28px;font-weight:650;letter-spacing:-.02em;line-height:1.1}
.chip{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:1px 10px;
font-size:13px;white-space:nowrap}
.chip.yes{color:var(--good);border-color:currentColor}.chip.no{color:var(--against);
border-color:currentColor}
.note{background:var(--tint);border-radius:8px;padding:8px 12px;margin:10px 0;font-size:14px}
.note.warn{background:var(--mark);color:var(--mark-ink)}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-weight:600;color:var(--soft);font-size:13px}
th,td{padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}tr:last-child td,tr:last-child th{border-bottom:0}
.pair{table-layout:fixed}.pair tr>:first-child{width:120px}.pair thead span{font-weight:400}
.differ{background:var(--mark);color:var(--mark-ink);border-radius:4px;padding:0 4px;
margin-left:-4px;-webkit-box-decoration-break:clone;box-decoration-break:clone}
.falls{display:grid;grid-template-columns:minmax(190px,36%) 1fr 74px;grid-auto-flow:dense}
.falls .what{grid-column:1}.falls .chart{grid-column:2}.falls .bits{grid-column:3}
.falls>div{padding:7px 0;border-bottom:1px solid var(--line);min-height:46px;display:flex;
flex-direction:column;justify-content:center}.falls .what{padding-right:14px}
.falls .bits{align-items:flex-end}.falls .chart{padding:0;position:relative}
.falls svg.bars{position:absolute;inset:0;width:100%;height:100%}
.falls .total{border-bottom:0;font-weight:650}.falls .quiet{opacity:.62}
.falls b{font-weight:600}.falls .level{font-size:13px;color:var(--soft);line-height:1.35;
overflow-wrap:anywhere}
.shares{display:block;width:100%;height:14px;border-radius:7px;margin:4px 0 8px;
background:var(--line)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px}
.dot{width:10px;height:10px;margin-right:6px}
.f-for{fill:var(--for)}.f-against{fill:var(--against)}.f-prior{fill:var(--prior)}
.f-sum{fill:var(--sum)}.f-home{fill:var(--home)}
.axis{stroke:var(--line);stroke-width:1}.step{stroke:var(--soft);stroke-width:1;opacity:.55}
.least{stroke:var(--good);stroke-width:1.5;stroke-dasharray:3 3}
details{border-top:1px solid var(--line)}details:first-of-type{border-top:0}
summary{cursor:pointer;padding:12px 0;display:flex;flex-wrap:wrap;gap:4px 14px;align-items:baseline;
list-style:none}summary::-webkit-details-marker{display:none}
summary::before{content:"›";color:var(--soft);width:10px;transition:transform .12s}
details[open]>summary::before{transform:rotate(90deg)}summary .bits{margin-left:auto}
@media (max-width:640px){main{padding:16px 12px 80px}.card{padding:14px;border-radius:10px}
h1{font-size:19px}.big{font-size:24px}
.falls{grid-template-columns:1fr auto}.falls>div{border-bottom:0;min-height:0;padding:8px 0 2px}
.falls .bits{grid-column:2;justify-content:flex-start}
.falls .chart{grid-column:1/-1;border-bottom:1px solid var(--line);height:28px}
.falls .total.chart{border-bottom:0}.falls .quiet.chart{height:6px}.falls .quiet svg{display:none}
.pair tr>:first-child{width:84px}
.scroll{overflow-x:auto}}
@media print{body{background:#fff}.card{break-inside:avoid;box-shadow:none}}
"""

_PAGE = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><meta name="referrer" content="same-origin">
<title>$title</title><style$nonce>$style</style></head>
<body>$body$script</body></html>
"""
)


def page(title: str, body: str, *, nonce: str = "", style: str = "", script: str = "") -> str:
    """A whole page. `body`, `style` and `script` are finished markup, the title is plain text.

    `nonce` is what a server's content security policy names; a file has none.
    """
    attribute = f' nonce="{nonce}"' if nonce else ""
    return _PAGE.substitute(
        title=html.escape(title),
        style=STYLE + style,
        body=body,
        nonce=attribute,
        script=f"<script{attribute}>{script}</script>" if script else "",
    )


def say(value: object) -> str:
    """Any value as text in a page: nothing in it can become markup."""
    return html.escape(str(value))


def bits(value: float) -> str:
    """A weight with its sign and two digits."""
    return f"{value:+.2f}".replace("-", "\u2212") if abs(value) >= 0.005 else "0.00"


def percent(p: float | None) -> str:
    """A probability; never a round 0 or 100 where something is left."""
    if p is None:
        return "\u2013"
    if 0 < p < 0.0005:
        return "< 0.1 %"
    if 0.9995 < p < 1:
        return "> 99.9 %"
    return f"{100 * p:.1f} %"
