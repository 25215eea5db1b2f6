"""The style sheet of the HTML report: light and dark by the reader's system, one column when narrow."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1b2430;--soft:#5d6b7b;--line:#e1e5ea;
--bar:#3b6fd8;--bad:#d0483e;--range:#a9bfe9;--note:#8a5a00}
@media(prefers-color-scheme:dark){:root{--back:#12161c;--card:#1b212a;--text:#e4e9f0;--soft:#98a5b5;
--line:#2e3743;--bar:#6f9bf5;--bad:#ef7a70;--range:#3d5486;--note:#e0b25c}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;line-height:1.25;margin:0 0 2px}
h2{font-size:17px;margin:34px 0 12px}
h3{font-size:14px;margin:0 0 10px;font-weight:600}
p{margin:0}.soft{color:var(--soft);overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:12px;margin-top:22px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;min-width:0}
.card b{display:block;font-size:23px;line-height:1.3;font-weight:600;font-variant-numeric:tabular-nums}
.card small{color:var(--soft);font-size:13px;display:block}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:12px}
svg{display:block;width:100%;height:auto;font-size:13px;font-family:inherit}
svg .grid{stroke:var(--line)}svg .bar{fill:var(--bar)}svg .bad{fill:var(--bad)}svg .hit{fill:transparent}
svg g:hover .bar,svg g:hover .bad,svg g:hover .dot{opacity:.7}
svg .axis{fill:var(--soft);font-size:12px}svg .label,svg .value{fill:var(--text)}
svg .range{stroke:var(--range);stroke-width:6;stroke-linecap:round}svg .dot{fill:var(--bar)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:8px 14px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft);font-size:13px;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card);
max-width:260px;overflow:hidden;text-overflow:ellipsis}
tbody tr:last-child td{border-bottom:0}
tr.total td{font-weight:600;border-top:2px solid var(--line)}
ul{margin:0;padding:0;list-style:none;columns:2 400px;column-gap:28px}
li{break-inside:avoid;padding:0 0 11px 14px;overflow-wrap:anywhere;position:relative}
li::before{content:"";position:absolute;left:0;top:9px;width:6px;height:6px;border-radius:3px;
background:var(--bar)}
.card.list{padding-bottom:5px}
.scroll+.scroll{margin-top:12px}
.note{color:var(--note);margin-top:10px}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 12px}
footer{margin-top:36px;font-size:13px}
@media(max-width:480px){main{padding:18px 12px 32px}.cards{grid-template-columns:1fr 1fr;gap:8px}
.card{padding:11px 12px}.card b{font-size:19px}th,td{padding:7px 10px}
th:first-child,td:first-child{max-width:132px}
svg{font-size:14px}svg .axis{font-size:13px}}
@media print{body{background:#fff}.card,.scroll{break-inside:avoid}}
"""
