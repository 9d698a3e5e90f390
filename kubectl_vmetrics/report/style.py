"""The page's style: light and dark, wide and narrow, and paper. No fonts, pictures or addresses of others."""

from __future__ import annotations

from .page import COLOURS, FREE, HOST, OTHERS

_LIGHT = """
  color-scheme: light;
  --back: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --panel: #f6f8fa; --link: #0a58b5;
  --good: #116329; --warn: #7d4e00; --bad: #b1201c; --track: #e1e6eb; --fill: #0b63a5;
  --s0: #0b63a5; --s1: #b3541e; --s2: #1b7f5c; --s3: #8a3d8f; --s4: #937200; --s5: #b5304a; --s6: #2f7a94;
  --s7: #6a5acd; --rest: #767c83; --free: #c3ccd5;
"""
_DARK = """
  color-scheme: dark;
  --back: #0f1419; --text: #e6e9ed; --soft: #a7b0ba; --line: #3b444e; --panel: #182028; --link: #7cb8ff;
  --good: #6fd18b; --warn: #f0b759; --bad: #ff8f87; --track: #323b45; --fill: #6db3f2;
  --s0: #6db3f2; --s1: #f2a65a; --s2: #5fd0a5; --s3: #d993de; --s4: #e3c84d; --s5: #f08a9b; --s6: #7fc6dd;
  --s7: #a9a1f5; --rest: #8b949e; --free: #3e4954;
"""
_COLOURS = "".join(f".{name} {{ fill: var(--{name}); }}\n" for name in (*COLOURS, OTHERS, HOST, FREE))

STYLE = f"""
:root {{{_LIGHT}}}
@media (prefers-color-scheme: dark) {{ :root {{{_DARK}}} }}
:root[data-theme=light] {{{_LIGHT}}}
:root[data-theme=dark] {{{_DARK}}}
{_COLOURS}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1rem 1.25rem 3rem; max-width: 76rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: anywhere; }}
a {{ color: var(--link); }}
:focus-visible {{ outline: 3px solid var(--link); outline-offset: 2px; }}
.skip {{ position: absolute; left: -99rem; }}
.skip:focus {{ position: static; }}
header {{ border-bottom: 1px solid var(--line); padding-bottom: 1rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.25; margin: .5rem 0; }}
h2 {{ font-size: 1.3rem; margin: 2.5rem 0 .25rem; }}
h3, caption, figcaption {{ font-size: 1rem; font-weight: 600; text-align: left; margin: 1rem 0 .4rem; }}
caption {{ padding: .2rem 0 .4rem; }}
header dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0; }}
header dt {{ color: var(--soft); }}
header dd {{ margin: 0; }}
#tools {{ float: right; }}
button, input {{ font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--soft);
  border-radius: .4rem; padding: .3rem .7rem; }}
nav ul {{ list-style: none; margin: 1rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1rem; }}
nav a {{ display: inline-block; padding: .15rem 0; }}
.about, .empty, .below, .said, .note {{ color: var(--soft); }}
.about {{ margin: 0 0 1rem; max-width: 60rem; }}
.below {{ display: block; font-size: .85em; font-weight: 400; }}
.facts {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: .75rem; margin: 1rem 0; }}
.facts div {{ background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }}
.facts dt {{ color: var(--soft); font-size: .9rem; }}
.facts dd {{ margin: 0; }}
.facts .value {{ font-size: 1.5rem; font-weight: 600; line-height: 1.3; }}
.facts .note {{ font-size: .85rem; }}
.good {{ color: var(--good); }}
.warn {{ color: var(--warn); }}
.bad {{ color: var(--bad); }}
.items {{ padding-left: 1.2rem; max-width: 60rem; }}
.box {{ overflow-x: auto; margin: .5rem 0 1.5rem; }}
.filter {{ display: flex; gap: .75rem; align-items: center; margin-top: 1rem; flex-wrap: wrap; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }}
td, tbody th, tfoot th {{ overflow-wrap: normal; }}
thead th {{ color: var(--soft); border-bottom: 2px solid var(--soft); vertical-align: bottom; overflow-wrap: normal; }}
thead button {{ border: 0; background: none; padding: 0; font-weight: 600; text-align: inherit; cursor: pointer; }}
th[aria-sort] button {{ color: var(--text); }}
th[aria-sort=ascending] button::after {{ content: " \\2191"; }}
th[aria-sort=descending] button::after {{ content: " \\2193"; }}
tbody th, tfoot th {{ font-weight: 500; position: sticky; left: 0; background: var(--back); max-width: 20rem;
  overflow-wrap: anywhere; min-width: 8.75rem; }}
tfoot th, tfoot td {{ border-top: 2px solid var(--soft); border-bottom: 0; font-weight: 600; }}
tfoot tr + tr > * {{ border-top: 0; }}
.n {{ text-align: right; white-space: nowrap; }}
thead .n {{ white-space: normal; }}
.share {{ width: 3.5rem; height: .5rem; margin-right: .5rem; vertical-align: middle; }}
.pc {{ display: inline-block; min-width: 3.2em; }}
.track {{ fill: var(--track); }}
.fill {{ fill: var(--fill); }}
.spark {{ width: 6.5rem; height: 1.4rem; display: block; }}
.spark path {{ fill: none; stroke: var(--fill); stroke-width: 1.5; vector-effect: non-scaling-stroke; }}
figure {{ margin: 1rem 0 2rem; }}
.whole {{ width: 100%; height: 1.5rem; display: block; }}
.axes {{ display: grid; grid-template-columns: max-content 1fr; gap: .25rem .5rem; }}
.plot {{ height: 14rem; }}
.stack {{ width: 100%; height: 100%; display: block; }}
.stack path {{ stroke: var(--back); stroke-width: .5; vector-effect: non-scaling-stroke; }}
.stack .grid {{ stroke: var(--soft); stroke-opacity: .35; fill: none; }}
.stack .limit {{ stroke: var(--text); stroke-width: 1.5; stroke-dasharray: 6 4; fill: none; }}
.limit-mark {{ fill: none; stroke: var(--text); stroke-width: 2; stroke-dasharray: 3 2; }}
.y, .x {{ display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem; line-height: 1; }}
.y {{ flex-direction: column; text-align: right; margin: -.4rem 0; }}
.x {{ grid-column: 2; }}
.legend {{ list-style: none; padding: 0; margin: .6rem 0 0; display: flex; flex-wrap: wrap; gap: .2rem 1.25rem;
  font-size: .9rem; }}
.swatch {{ width: .7rem; height: .7rem; margin-right: .35rem; }}
summary {{ cursor: pointer; color: var(--link); font-size: .9rem; }}
footer {{ margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; color: var(--soft);
  font-size: .9rem; }}
@media (max-width: 40rem) {{
  body {{ padding: .75rem .75rem 2rem; }}
  header dl {{ grid-template-columns: 1fr; }}
  header dd {{ margin-bottom: .4rem; }}
  tbody th, tfoot th {{ max-width: 9rem; }}
  .facts {{ grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }}
  .plot {{ height: 11rem; }}
}}
@media (prefers-reduced-motion: no-preference) {{ html {{ scroll-behavior: smooth; }} }}
@page {{ size: A4; margin: 14mm 12mm; }}
@media print {{
  :root, :root[data-theme] {{{_LIGHT}}}
  body {{ padding: 0; max-width: none; font-size: 9.5pt; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
  #tools, nav, .filter, .skip, details, footer {{ display: none; }}
  .box {{ overflow: visible; }}
  table {{ font-size: 7.5pt; }}
  th, td {{ padding: 1mm 1.2mm; }}
  tbody th, tfoot th {{ position: static; min-width: 26mm; max-width: 45mm; }}
  thead button {{ display: contents; }}
  thead {{ display: table-header-group; }}
  tfoot {{ display: table-row-group; }}
  tr, figure, .about, .facts div, .items li {{ break-inside: avoid; }}
  h2, h3, caption, .about {{ break-after: avoid; }}
  tbody tr:first-child, tfoot tr {{ break-before: avoid; }}
  .share {{ width: 9mm; }}
  .spark {{ width: 18mm; height: 5mm; }}
  .plot {{ height: 48mm; }}
}}
"""
