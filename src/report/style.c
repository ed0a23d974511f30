/*
 * style.c
 *		The style sheet of reports: light and dark, on screens and on A4.
 *
 * The page allows this sheet by its hash and nothing else, so there are no style
 * attributes anywhere: charts are drawn with classes.
 */
#include "report/page.h"

#include "common/base64.h"
#include "common/cryptohash.h"
#include "common/sha2.h"

#define LIGHT \
	"--bg:#fff;--ink:#1a1f26;--soft:#4c5663;--line:#d5dae1;--card:#f4f6f9;--bar:#2f6fb3;--mark:#a83a0c;" \
	"--s1:#2f6fb3;--s2:#d98a1f;--s3:#a9b4c2;--s4:#7a4fa3;" \
	"--h0:#f4f6f9;--h1:#e0ebf7;--h2:#c6dbf0;--h3:#a6c8e7;--h4:#7fb0dc;--h5:#5796cd;--h6:#2f72ad;--h7:#2262a0;--h8:#154a80;--h9:#0b3460;" \
	"--low:#1a1f26;--high:#fff;"
#define DARK \
	"--bg:#12161c;--ink:#e8ecf1;--soft:#a9b4c2;--line:#38424f;--card:#1c222b;--bar:#5b9bdc;--mark:#ffb074;" \
	"--s1:#5b9bdc;--s2:#e0a040;--s3:#66727f;--s4:#b58ae0;" \
	"--h0:#1c222b;--h1:#1d2c3d;--h2:#1f374f;--h3:#224564;--h4:#27567d;--h5:#306b99;--h6:#4485b8;--h7:#66a3d3;--h8:#93c2e8;--h9:#c6e1f7;" \
	"--low:#e8ecf1;--high:#10151b;"

static const char style[] =
	":root{color-scheme:light dark;" LIGHT "}\n"
	"@media screen and (prefers-color-scheme:dark){:root{" DARK "}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--bg);color:var(--ink);"
	"font:16px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n"
	"h1,tbody th{overflow-wrap:anywhere}\n"
	"h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}\n"
	"h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line)}\n"
	"header p,figcaption,footer{color:var(--soft);margin:.15rem 0;font-size:.92rem}\n"
	"footer{margin-top:2rem;border-top:1px solid var(--line);padding-top:.8rem}\n"
	"dl.key{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.7rem;margin:0}\n"
	"dl.key div{background:var(--card);border-radius:.5rem;padding:.7rem .9rem}\n"
	"dl.key dt{color:var(--soft);font-size:.85rem}\n"
	"dl.key dd{margin:0;font-size:1.4rem;font-weight:600;font-variant-numeric:tabular-nums}\n"
	"figure{margin:0}svg{display:block;width:100%;max-width:46rem;height:auto}\n"
	".pair{display:grid;grid-template-columns:minmax(0,1fr);gap:1rem;align-items:start}\n"
	"@media screen and (min-width:64rem){.pair.two{grid-template-columns:minmax(0,6fr) minmax(0,5fr)}}\n"
	".scroll{overflow-x:auto}\n"
	"@media screen and (max-width:40rem){figure{overflow-x:auto}svg{min-width:32rem}}\n"
	"table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}\n"
	"caption{text-align:left;color:var(--soft);padding:.2rem 0}\n"
	"th,td{padding:.22rem .4rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:bottom;hyphens:auto}td{white-space:nowrap}\n"
	"th{font-weight:600}thead th{border-bottom:2px solid var(--line)}\n"
	"th:first-child{text-align:left}tbody th{font-weight:400;min-width:7.6rem}\n"
	"tfoot th,tfoot td{font-weight:600}\n"
	"text{font-size:12px;fill:var(--ink);font-family:inherit}.soft{fill:var(--soft)}\n"
	".end{text-anchor:end}.mid{text-anchor:middle}\n"
	".grid{stroke:var(--line);stroke-width:1}.bar{fill:var(--bar)}\n"
	".mark{fill:none;stroke:var(--mark);stroke-width:2.5}.dot{fill:var(--mark)}\n"
	".s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}.s4{fill:var(--s4)}\n"
	".h0{fill:var(--h0)}.h1{fill:var(--h1)}.h2{fill:var(--h2)}.h3{fill:var(--h3)}.h4{fill:var(--h4)}"
	".h5{fill:var(--h5)}.h6{fill:var(--h6)}.h7{fill:var(--h7)}.h8{fill:var(--h8)}.h9{fill:var(--h9)}\n"
	"text.low{fill:var(--low);font-size:11px}text.high{fill:var(--high);font-size:11px}\n"
	"@page{size:A4;margin:14mm}\n"
	"@media print{:root{color-scheme:light}body{padding:0;max-width:none;font-size:10.5pt}"
	"h2{break-after:avoid;margin-top:1.2rem}figure,dl.key div,tr{break-inside:avoid}thead{display:table-header-group}"
	"dl.key{grid-template-columns:repeat(5,1fr)}dl.key dd{font-size:1.1rem}.scroll{overflow:visible}table{font-size:8.5pt}svg{max-height:11cm}"
	"*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

const char *
qms_style(void)
{
	return style;
}

/* SHA-256 of it in base64, as a Content-Security-Policy names it. */
char *
qms_style_hash(void)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *text = palloc0(pg_b64_enc_len(sizeof(digest)) + 1);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) style, strlen(style)) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0 ||
		pg_b64_encode((char *) digest, sizeof(digest), text, pg_b64_enc_len(sizeof(digest))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a digest")));
	pg_cryptohash_free(context);
	return text;
}
