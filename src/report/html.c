/*
 * html.c
 *		Writing HTML.  A page is ASCII alone, so it is right in whatever encoding
 *		it travels; and nothing that people wrote gets into it but through here.
 */
#include "report/page.h"

#include "mb/pg_wchar.h"

/* As it is. */
void
qms_html(QmsPage *page, const char *html)
{
	appendStringInfoString(&page->out, html);
}

void
qms_htmlf(QmsPage *page, const char *format,...)
{
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&page->out, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&page->out, needed);
	}
}

/*
 * One character.  What is neither text nor a space in a line of text is left
 * out: control characters, and those that turn the direction of what follows.
 */
static void
write_character(StringInfo out, pg_wchar c)
{
	static const char *const entities[128] = {['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};

	if (c == '\t' || c == '\n' || c == '\r')
		c = ' ';
	if (c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2066 && c <= 0x2069) || c == 0xfeff || (c >= 0xfff0 && c <= 0xffff && c != 0xfffd))
		return;
	if (c >= 0x7f)
		appendStringInfo(out, "&#%u;", c);
	else if (entities[c] != NULL)
		appendStringInfoString(out, entities[c]);
	else
		appendStringInfoChar(out, (char) c);
}

/* Text in UTF-8; bytes that are none become a replacement character. */
void
qms_html_text(QmsPage *page, const char *utf8)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + strlen(utf8);

	while (p < end)
	{
		int			length = pg_utf_mblen(p);

		if (p + length > end || !pg_utf8_islegal(p, length))
		{
			write_character(&page->out, 0xfffd);
			p++;
			continue;
		}
		write_character(&page->out, utf8_to_unicode(p));
		p += length;
	}
}

void
qms_html_word(QmsPage *page, QmsWord word)
{
	qms_html_text(page, qms_word(page->language, word));
}

/* A name or text of people. */
void
qms_html_name(QmsPage *page, const char *name)
{
	char	   *utf8 = unconstify(char *, name);

	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
		utf8 = pg_server_to_any(name, (int) strlen(name), PG_UTF8);
	qms_html_text(page, utf8);
}

/* For where there is no room: cut after so many characters. */
char *
qms_html_cut(const char *name, int most)
{
	int			length = (int) strlen(name);
	int			cut = pg_mbcharcliplen(name, length, most);

	return cut == length ? pstrdup(name) : psprintf("%s...", pnstrdup(name, pg_mbcharcliplen(name, length, most - 1)));
}

/* A table with its caption; heads of columns follow. */
void
qms_html_begin_table(QmsPage *page, QmsWord caption)
{
	qms_html(page, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
	qms_html_word(page, caption);
	qms_html(page, "\"><table><caption>");
	qms_html_word(page, caption);
	qms_html(page, "</caption><thead><tr>");
}

void
qms_html_head(QmsPage *page, const char *utf8)
{
	qms_html(page, "<th scope=\"col\">");
	qms_html_text(page, utf8);
	qms_html(page, "</th>");
}

/* The heads are done; rows follow. */
void
qms_html_begin_rows(QmsPage *page)
{
	qms_html(page, "</tr></thead><tbody>\n");
}

/* All that, where the heads are words. */
void
qms_html_table(QmsPage *page, QmsWord caption, const QmsWord *heads, int n)
{
	int			i;

	qms_html_begin_table(page, caption);
	for (i = 0; i < n; i++)
		qms_html_head(page, qms_word(page->language, heads[i]));
	qms_html_begin_rows(page);
}

void
qms_html_cell(QmsPage *page, const char *utf8)
{
	qms_html(page, "<td>");
	qms_html_text(page, utf8);
	qms_html(page, "</td>");
}

void
qms_html_end_table(QmsPage *page)
{
	qms_html(page, "</tbody></table></div>\n");
}
