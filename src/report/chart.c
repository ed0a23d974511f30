/*
 * chart.c
 *		Charts as SVG inside a page.  Each has a title and a description for those
 *		who hear it, and stands beside a table with its figures.
 */
#include "report/page.h"

#include <math.h>

#define WIDTH	720.0
#define LEFT	46.0
#define TOP		12.0
#define HEIGHT	200.0			/* of the field */
#define BOTTOM	46.0
#define CHARACTER 7.5			/* width of one, or a little more */
#define ROW		26.0
#define STACK_LEFT 190.0

/* The next round number of 1, 2, 5 times a power of ten, for the step of an axis. */
static double
round_step(double rough)
{
	double		power = pow(10, floor(log10(Max(rough, 1e-9))));
	double		digit = rough / power;

	return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

/* <figure><svg> with title and description. */
static void
begin_svg(QmsPage *page, QmsWord title, QmsWord description, double height)
{
	int			id = ++page->charts;

	qms_htmlf(page, "<figure><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"t%d d%d\"><title id=\"t%d\">",
			  WIDTH, height, id, id, id);
	qms_html_word(page, title);
	qms_htmlf(page, "</title><desc id=\"d%d\">", id);
	qms_html_word(page, description);
	qms_html(page, "</desc>\n");
}

static void
end_svg(QmsPage *page, QmsWord description)
{
	qms_html(page, "</svg><figcaption>");
	qms_html_word(page, description);
	qms_html(page, "</figcaption></figure>\n");
}

static void
write_label(QmsPage *page, const char *class, double x, double y, const char *utf8)
{
	qms_htmlf(page, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
	qms_html_text(page, utf8);
	qms_html(page, "</text>\n");
}

/* A figure of an axis, without digits that say nothing. */
static char *
axis_text(QmsLanguage language, double value, double step)
{
	return step < 1 ? qms_form_tenths(language, value) : qms_form_int(language, (int64) rint(value));
}

/* The lines of a field, up to full; answers how high the field is in its unit. */
static double
write_grid(QmsPage *page, double most, double full)
{
	double		step = Max(round_step((full > 0 ? full : most) / 4), 0.1);
	double		top = full > 0 ? full : Max(ceil(most / step), 1) * step;
	double		value;

	for (value = 0; value <= top + step / 2; value += step)
	{
		double		y = TOP + HEIGHT * (1 - value / top);

		qms_htmlf(page, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH, y, y);
		write_label(page, "soft end", LEFT - 6, y + 4, axis_text(page->language, value, step));
	}
	return top;
}

static double
most_of(const QmsChart *chart)
{
	double		most = 0;
	int			i;

	for (i = 0; i < chart->n; i++)
	{
		most = Max(most, chart->bars[i]);
		if (chart->line != NULL)
			most = Max(most, chart->line[i]);
	}
	return most;
}

/* Below the field; so many that they do not touch. */
static void
write_labels(QmsPage *page, const QmsChart *chart, double width)
{
	int			every = (int) ceil((chart->are_names ? 74 : 44) / width);
	int			i;

	for (i = 0; i < chart->n; i += Max(every, 1))
	{
		qms_htmlf(page, "<text class=\"soft mid\" x=\"%.1f\" y=\"%.1f\">", LEFT + width * (i + 0.5), TOP + HEIGHT + 18);
		if (chart->are_names)
			qms_html_name(page, qms_html_cut(chart->labels[i], Max((int) (width * Max(every, 1) / CHARACTER), 4)));
		else
			qms_html_text(page, chart->labels[i]);
		qms_html(page, "</text>\n");
	}
}

/* A line through the middles of what is there, broken where there is nothing. */
static void
write_line(QmsPage *page, const QmsChart *chart, double width, double top)
{
	bool		begun = false;
	int			i;

	/* Things that follow one another are joined, others have dots alone. */
	if (!chart->are_names)
		qms_html(page, "<path class=\"mark\" d=\"");
	for (i = 0; i < chart->n && !chart->are_names; i++)
	{
		if (chart->line[i] >= 0)
			qms_htmlf(page, "%s%.1f %.1f", begun ? "L" : "M", LEFT + width * (i + 0.5),
					  TOP + HEIGHT * (1 - chart->line[i] / top));
		begun = chart->line[i] >= 0;
	}
	if (!chart->are_names)
		qms_html(page, "\"/>\n");
	for (i = 0; i < chart->n; i++)
	{
		if (chart->line[i] >= 0)
			qms_htmlf(page, "<circle class=\"dot\" r=\"%s\" cx=\"%.1f\" cy=\"%.1f\"/>",
					  width < 8 ? "1.5" : chart->are_names ? "5" : "3", LEFT + width * (i + 0.5),
					  TOP + HEIGHT * (1 - chart->line[i] / top));
	}
}

/* Bars, and a line over them. */
void
qms_chart_bars(QmsPage *page, const QmsChart *chart)
{
	double		width = (WIDTH - LEFT) / Max(chart->n, 1);
	double		top;
	int			i;

	begin_svg(page, chart->title, chart->description, TOP + HEIGHT + BOTTOM - 18);
	top = write_grid(page, most_of(chart), chart->full);
	for (i = 0; i < chart->n; i++)
	{
		double		height = HEIGHT * Max(chart->bars[i], 0) / top;
		double		bar = Min(width * 0.72, 60);

		if (height > 0)
			qms_htmlf(page, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
					  LEFT + width * (i + 0.5) - bar / 2, TOP + HEIGHT - height, bar, height);
	}
	if (chart->line != NULL)
		write_line(page, chart, width, top);
	write_labels(page, chart, width);
	end_svg(page, chart->description);
}

/* ---- stacked bars, one below the other ---- */

/* What each shade is. */
static void
write_legend(QmsPage *page, const QmsStack *stack)
{
	double		x = 0;
	int			k;

	for (k = 0; k < QMS_CHART_PARTS; k++)
	{
		const char *word = qms_word(page->language, stack->parts[k]);

		qms_htmlf(page, "<rect class=\"s%d\" x=\"%.1f\" y=\"4\" width=\"12\" height=\"12\"/>", k + 1, x);
		write_label(page, "soft", x + 17, 14, word);
		x += 40 + 6.6 * strlen(word);
	}
}

static void
write_stack(QmsPage *page, const QmsStack *stack, int i, double scale)
{
	double		x = STACK_LEFT;
	double		y = 30 + ROW * i;
	int			k;

	qms_htmlf(page, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\">", STACK_LEFT - 8, y + 15);
	if (stack->names[i] == NULL)
		qms_html_word(page, W_UNNAMED);
	else
		qms_html_name(page, qms_html_cut(stack->names[i], 26));
	qms_html(page, "</text>");
	for (k = 0; k < QMS_CHART_PARTS; k++)
	{
		double		width = stack->values[i][k] * scale;

		if (width > 0)
			qms_htmlf(page, "<rect class=\"s%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\"/>", k + 1, x, y,
					  Max(width - 1, 0.5), ROW - 6);
		x += width;
	}
	qms_html(page, "\n");
}

void
qms_chart_stacks(QmsPage *page, const QmsStack *stack)
{
	double		most = 0;
	double		height = 30 + ROW * stack->n + 24;
	double		step;
	double		scale;
	double		value;
	int			i;
	int			k;

	for (i = 0; i < stack->n; i++)
	{
		double		sum = 0;

		for (k = 0; k < QMS_CHART_PARTS; k++)
			sum += stack->values[i][k];
		most = Max(most, sum);
	}
	step = Max(round_step(most / 5), 0.1);
	most = Max(ceil(most / step), 1) * step;
	scale = (WIDTH - STACK_LEFT - 14) / most;
	begin_svg(page, stack->title, stack->description, height);
	write_legend(page, stack);
	for (value = 0; value <= most + step / 2; value += step)
	{
		double		x = STACK_LEFT + value * scale;

		qms_htmlf(page, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"26\" y2=\"%.1f\"/>", x, x, height - 22);
		write_label(page, "soft mid", x, height - 6, axis_text(page->language, value, step));
	}
	for (i = 0; i < stack->n; i++)
		write_stack(page, stack, i, scale);
	end_svg(page, stack->description);
}

/* ---- heat map ---- */

static void
write_cell(QmsPage *page, double value, double most, double x, double y, double width)
{
	int			shade = most > 0 ? (int) Min(floor(value / most * 9 + 0.5), 9) : 0;

	if (value > 0)
		shade = Max(shade, 1);
	qms_htmlf(page, "<rect class=\"h%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"24\"/>", shade, x, y, width - 2);
	if (value > 0)
		write_label(page, shade >= 6 ? "high mid" : "low mid", x + width / 2 - 1, y + 16,
					value < 9.95 ? qms_form_tenths(page->language, value) : qms_form_int(page->language, (int64) rint(value)));
}

void
qms_chart_heat(QmsPage *page, const QmsHeat *heat)
{
	int			first = 24;
	int			last = -1;
	double		most = 0;
	double		width;
	int			d;
	int			h;

	for (d = 0; d < 7; d++)
	{
		for (h = 0; h < 24; h++)
		{
			if (heat->values[d][h] <= 0)
				continue;
			first = Min(first, h);
			last = Max(last, h);
			most = Max(most, heat->values[d][h]);
		}
	}
	if (last < 0)
		return;
	width = Min((WIDTH - LEFT - 30) / (last - first + 1), 64);
	begin_svg(page, heat->title, heat->description, 7 * 26 + 26);
	for (h = first; h <= last; h++)
		write_label(page, "soft mid", LEFT + 30 + width * (h - first + 0.5) - 1, 14, psprintf("%02d", h));
	for (d = 0; d < 7; d++)
	{
		write_label(page, "end", LEFT + 22, 22 + 26 * d + 16, heat->labels[d]);
		for (h = first; h <= last; h++)
			write_cell(page, Max(heat->values[d][h], 0), most, LEFT + 30 + width * (h - first), 22 + 26 * d, width);
	}
	end_svg(page, heat->description);
}
