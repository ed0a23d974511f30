/*
 * page.c
 *		A report as one page of HTML that needs nothing else: no script, no font,
 *		no picture from anywhere, and no right to load one.
 */
#include "report/page.h"

static void
write_head(QmsPage *page, const QmsReport *report, const char *name)
{
	qms_htmlf(page, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\"/>\n"
			  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'; "
			  "base-uri 'none'; form-action 'none'\"/>\n"
			  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
			  "<meta name=\"robots\" content=\"noindex\"/>\n<meta name=\"referrer\" content=\"no-referrer\"/>\n<title>",
			  qms_language_tag(report->language), qms_style_hash());
	qms_html_word(page, W_REPORT);
	qms_html_text(page, qms_form_colon(report->language));
	qms_html_name(page, name);
	qms_html(page, "</title>\n<style>");
	qms_html(page, qms_style());
	qms_html(page, "</style>\n</head>\n<body>\n");
}

static void
write_fact(QmsPage *page, QmsWord word, const char *utf8)
{
	qms_html(page, "<p>");
	qms_html_word(page, word);
	qms_html_text(page, qms_form_colon(page->language));
	qms_html_text(page, utf8);
	qms_html(page, "</p>\n");
}

static void
write_header(QmsPage *page, const QmsReport *report, const char *name)
{
	static const QmsWord nouns[] = {[QMS_OF_ORGANIZATION] = W_ORGANIZATION, [QMS_OF_BRANCH] = W_BRANCH, [QMS_OF_QUEUE] = W_QUEUE};
	QmsLanguage language = report->language;

	qms_html(page, "<header><h1>");
	qms_html_word(page, W_REPORT);
	qms_html_text(page, qms_form_colon(report->language));
	qms_html(page, "<bdi>");
	qms_html_name(page, name);
	qms_html(page, "</bdi></h1>\n<p>");
	qms_html_word(page, nouns[report->scope->of.of]);
	qms_html(page, "</p>\n");
	write_fact(page, W_PERIOD, psprintf("%s %s %s", qms_form_date(language, report->first_day), qms_word(language, W_TO),
										qms_form_date(language, report->end_day - 1)));
	write_fact(page, W_MADE, qms_form_moment(language, report->made_at, report->scope->zone));
	write_fact(page, W_TIME_ZONE, pg_get_timezone_name(report->scope->zone));
	qms_html(page, "</header>\n<main>\n");
}

/* Read the figures and write the page; allocated where the caller is. */
char *
qms_report_make(QmsReport *report, bool with_staff)
{
	QmsPage		page = {.language = report->language};
	char	   *name = qms_report_name(report->scope->name, report->scope->names, report->language);

	qms_report_read(report, with_staff);
	initStringInfo(&page.out);
	write_head(&page, report, name);
	write_header(&page, report, name);
	if (qms_stats_arrivals(report->all) == 0 && report->all->n[QMS_N_CALLED] == 0)
	{
		qms_html(&page, "<p>");
		qms_html_word(&page, W_NOTHING);
		qms_html(&page, "</p>\n");
	}
	else
		qms_report_sections(&page, report);
	qms_html(&page, "</main>\n<footer>");
	qms_html_word(&page, W_METHOD);
	qms_html(&page, "</footer>\n</body>\n</html>\n");
	return page.out.data;
}
