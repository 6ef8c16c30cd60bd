"""The gallery's page: its HTML, style and script, and its words; what frames of mails do is shared
with the preview's page."""

DECISION_WORDS = {
    "send": "Sent",
    "no_consent": "No consent",
    "no_address": "No address",
    "suppressed": "Suppressed",
    "capped": "Capped",
    "holdout": "Held out",
}
RULE_WORDS = {
    "all_rules_passed": "every rule passed",
    "email_marketing": "did not agree to e-mail marketing",
    "personalisation": "did not agree to personalisation, which this mail needs",
    "address_missing": "we know no address",
    "address_malformed": "the address has no valid form",
    "hard_bounce": "the mailbox does not exist (hard bounce)",
    "complaint": "reported an earlier mail as spam",
    "unsubscribe": "unsubscribed",
    "list": "is on the shop's own list",
    "again_after_days": "had the same mail not long ago",
    "same_address": "somebody else at the same address gets it",
    "cap": "has had enough promotional mails for now",
    "holdout": "left out on purpose, to measure what the mail brings",
    "global_holdout": "left out of all mails on purpose, to measure what they bring",
    "soft_bounce": "the mailbox refused several mails in a row; it rests for a while",
    "undeliverable": "mail to the address would not arrive (verified)",
    "risky": "mail to the address might not arrive, or reach nobody (verified)",
    "unsubscribe_list": "unsubscribed from this list",
    "role_account": "an address such as info@, which is nobody's own",
}

FRAME_SCRIPT = r"""
// A mail in a frame: as high as it is, links in new windows, a picture that can't be loaded shown
// as its alternative text, in light or dark whatever the reader's system prefers.
function tile(img){const d=img.ownerDocument.createElement('div');d.textContent=img.alt;
d.style.cssText="font:400 "+(img.height>100?'19px/25px':'24px/30px')+" Georgia,serif;"+
"color:#3a4640;padding:0 16px;text-align:center;overflow-wrap:anywhere";img.replaceWith(d)}
function settle(f){const d=f.contentDocument;if(!d||!d.body)return;
for(const img of [...d.images]){if(img.complete&&!img.naturalWidth)tile(img);
else img.addEventListener('error',()=>tile(img))}
const fit=()=>{f.style.height='0';f.style.height=d.documentElement.scrollHeight+'px'};
fit();setTimeout(fit,400);for(const a of d.links)a.target='_blank'}
function inScheme(mail,dark){return mail.replaceAll(/\(prefers-color-scheme:\s*dark\)/g,
dark?'(min-width:0)':'(max-width:0)')}
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>%%shop%%: e-mails of this run</title>
<style>
:root{--ink:#1d2723;--muted:#66716b;--line:#e0ddd5;--paper:#fff;--canvas:#f6f4ef;--accent:#1f5c46;
--soft:#e8f0ea;--warm:#a8481f}
*{box-sizing:border-box}
body{margin:0;background:var(--canvas);color:var(--ink);
font:16px/1.5 -apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
header{padding:56px 40px 28px;max-width:1500px;margin:auto}
h1,h2{font-family:Georgia,"Times New Roman",serif;font-weight:400;letter-spacing:-.01em}
h1{font-size:44px;line-height:1.1;margin:0 0 10px}
h2{font-size:30px;margin:0}
.lead{color:var(--muted);margin:6px 0 0}
.numbers{display:flex;flex-wrap:wrap;gap:14px;margin-top:28px}
.numbers div{background:var(--paper);border:1px solid var(--line);border-radius:14px;
padding:16px 24px;min-width:170px}
.numbers b{display:block;font:400 32px/1.1 Georgia,serif}
.numbers span{color:var(--muted);font-size:14px}
nav{position:sticky;top:0;z-index:2;background:rgba(246,244,239,.94);backdrop-filter:blur(8px);
border-block:1px solid var(--line)}
nav>div{max-width:1500px;margin:auto;padding:10px 40px;display:flex;gap:22px;align-items:center;
flex-wrap:wrap}
nav a{color:var(--ink);text-decoration:none;font-size:15px}nav a:hover{color:var(--accent)}
.switch{margin-left:auto;display:flex;gap:10px}
.switch div{display:flex;background:#e9e6de;border-radius:999px;padding:3px}
button{font:inherit;font-size:14px;border:0;background:none;color:var(--muted);border-radius:999px;
padding:5px 15px;cursor:pointer}
button[aria-pressed=true]{background:var(--paper);color:var(--ink);box-shadow:0 1px 3px #0002}
main{max-width:1500px;margin:auto;padding:0 40px 80px}
section{padding-top:52px;scroll-margin-top:40px}
.cards{display:flex;gap:24px;overflow-x:auto;padding:22px 4px 26px;align-items:flex-start}
.card{flex:0 0 auto;width:392px;background:var(--paper);border:1px solid var(--line);
border-radius:18px;overflow:hidden;box-shadow:0 2px 14px #1d272308}
.desktop .card{width:682px}
.scenario{margin:0;padding:12px 18px;background:var(--soft);color:var(--accent);font-size:13px;
font-weight:600;letter-spacing:.02em}
.inbox{display:flex;gap:12px;padding:14px 18px;border-bottom:1px solid var(--line);min-height:106px}
.inbox div{min-width:0}
.avatar{flex:0 0 38px;height:38px;border-radius:50%;background:var(--accent);color:#fff;
display:grid;place-items:center;font:18px Georgia,serif}
.inbox p{margin:0;overflow:hidden;text-overflow:ellipsis;display:-webkit-box;
-webkit-box-orient:vertical;-webkit-line-clamp:2}
.from{font-size:13px;color:var(--muted)}.subject{font-weight:600;line-height:1.3}
.preheader{font-size:14px;color:var(--muted)}
.frame{height:760px;overflow:auto;background:#f2efe9}
iframe{border:0;width:100%;height:1500px;display:block;background:#fff}
dl{display:grid;grid-template-columns:auto 1fr;gap:3px 14px;margin:0;padding:14px 18px;
font-size:13px;border-top:1px solid var(--line)}
dt{color:var(--muted)}dd{margin:0}
details{border-top:1px solid var(--line);font-size:14px}
summary{padding:9px 18px;cursor:pointer;color:var(--accent)}
pre{margin:0;padding:4px 18px 16px;font:12px/1.5 ui-monospace,Menlo,Consolas,monospace;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:340px;overflow:auto}
table.why{border-collapse:collapse;width:100%;background:var(--paper);border:1px solid var(--line);
border-radius:14px;overflow:hidden;margin-top:20px;font-size:15px}
.why th,.why td{text-align:left;padding:9px 18px;font-weight:400;vertical-align:middle}
.why tr.first>*{border-top:1px solid var(--line)}.why th{font-weight:600;white-space:nowrap}
.why .n{text-align:right;font-variant-numeric:tabular-nums}
.bar{width:30%;min-width:160px}.bar i{display:inline-block;height:10px;border-radius:5px;
vertical-align:middle;max-width:78%}.bar b{font-weight:400;font-size:13px;color:var(--muted);
padding-left:8px}
.pill{display:inline-block;border-radius:999px;padding:2px 12px;font-size:13px;white-space:nowrap}
.pill.send{background:#dcebe2;color:#17503b}.bar .send{background:#3f8a6b}
.pill.capped{background:#f3e7d3;color:#7a4d0b}.bar .capped{background:#d7a54d}
.pill.holdout{background:#e4e4f3;color:#3d3d86}.bar .holdout{background:#8787c9}
.pill.no_consent{background:#f4dfd8;color:#85341a}.bar .no_consent{background:#cd7556}
.pill.suppressed,.pill.no_address{background:#e6e4df;color:#4c4a44}
.bar .suppressed,.bar .no_address{background:#a09c92}
.none{color:var(--muted)}
footer{color:var(--muted);font-size:14px;padding-top:52px}
@media(max-width:640px){header,main,nav>div{padding-left:16px;padding-right:16px}
.card,.desktop .card{width:86vw}.switch{margin-left:0}h1{font-size:34px}
.why .n,.bar{min-width:0}.why th,.why td{padding:8px}}
</style></head><body>
<header><h1>%%shop%%: e-mails of this run</h1>
<p class="lead">Run of %%as_of%%. A choice of the mails as they were rendered, and why others got
none.</p>
<div class="numbers"><div><b>%%rendered%%</b><span>mails rendered</span></div>
<div><b>%%people%%</b><span>people</span></div>
<div><b>%%not_sent%%</b><span>decisions not to send</span></div></div></header>
<nav><div><a href="#why">Decisions</a>%%links%%<div class="switch">
<div role="group" aria-label="Width"><button data-width="phone" aria-pressed="true">Phone</button>
<button data-width="desktop" aria-pressed="false">Desktop</button></div>
<div role="group" aria-label="Colours">
<button data-scheme="light" aria-pressed="true">Light</button>
<button data-scheme="dark" aria-pressed="false">Dark</button></div></div></div></nav>
<main>
<section id="why"><h2>Who gets a mail, and who does not</h2>
<table class="why"><tbody>%%decisions%%</tbody></table></section>
%%sections%%
<footer>This page shows real recipients: treat it like the customer data it is made from. A picture
that can't be loaded is shown as its alternative text, as mail programs do.</footer>
</main>
<script>%%frames%%
const frames=[...document.querySelectorAll('iframe')];
const source=new Map(frames.map(f=>[f,f.getAttribute('srcdoc')]));
frames.forEach(f=>{f.addEventListener('load',()=>settle(f));settle(f)});
function press(b){b.parentNode.querySelectorAll('button').forEach(o=>
o.setAttribute('aria-pressed',o===b))}
document.querySelectorAll('[data-width]').forEach(b=>b.onclick=()=>{press(b);
document.body.classList.toggle('desktop',b.dataset.width==='desktop');
setTimeout(()=>frames.forEach(settle),60)});
document.querySelectorAll('[data-scheme]').forEach(b=>b.onclick=()=>{press(b);
frames.forEach(f=>{f.srcdoc=inScheme(source.get(f),b.dataset.scheme==='dark')})});
for(const part of location.hash.slice(1).split(',')){const b=document.querySelector(
'[data-width="'+part+'"],[data-scheme="'+part+'"]');if(b)b.click()}
</script></body></html>
""".replace("%%frames%%", FRAME_SCRIPT)
