/*
 * words.c
 *		Every word of a report, by language, and how numbers, dates and durations
 *		are written there.  A language is a column here and a row below.
 */
#include "report/page.h"

#include <math.h>

#include "utils/datetime.h"

static const char *const words[QMS_WORDS][QMS_LANGUAGES] = {
	[W_REPORT] = {"Queue report", "Bericht zu Wartezeiten", "Rapport sur les files d’attente", "Informe de colas"},
	[W_ORGANIZATION] = {"Organization", "Organisation", "Organisation", "Organización"},
	[W_BRANCH] = {"Branch", "Standort", "Site", "Sede"},
	[W_QUEUE] = {"Queue", "Warteschlange", "File d’attente", "Cola"},
	[W_CLASS] = {"Class", "Klasse", "Catégorie", "Clase"},
	[W_PERIOD] = {"Period", "Zeitraum", "Période", "Periodo"},
	[W_MADE] = {"Made on", "Erstellt am", "Établi le", "Elaborado el"},
	[W_TIME_ZONE] = {"Time zone", "Zeitzone", "Fuseau horaire", "Zona horaria"},
	[W_KEY_FIGURES] = {"Key figures", "Kennzahlen", "Chiffres clés", "Cifras clave"},
	[W_ARRIVALS] = {"Arrivals", "Angekommen", "Arrivées", "Llegadas"},
	[W_SERVED] = {"Served", "Bedient", "Servis", "Atendidos"},
	[W_MEAN_WAIT] = {"Mean wait", "Mittlere Wartezeit", "Attente moyenne", "Espera media"},
	[W_P90_WAIT] = {"9 of 10 waited at most", "9 von 10 warteten höchstens", "9 sur 10 ont attendu au plus", "9 de cada 10 esperaron como máximo"},
	[W_P90] = {"90th percentile", "90.-Perzentil", "90e centile", "Percentil 90"},
	[W_LONGEST_WAIT] = {"Longest wait", "Längste Wartezeit", "Attente la plus longue", "Espera más larga"},
	[W_WITHIN] = {"Within target", "Im Zielwert", "Dans l’objectif", "Dentro del objetivo"},
	[W_TARGET] = {"Target", "Zielwert", "Objectif", "Objetivo"},
	[W_LEFT] = {"Left before being called", "Vor Aufruf gegangen", "Partis avant l’appel", "Se fueron antes de la llamada"},
	[W_NO_SHOW] = {"Did not come when called", "Nicht erschienen", "Absents à l’appel", "No acudieron a la llamada"},
	[W_MEAN_SERVICE] = {"Mean service", "Mittlere Bediendauer", "Durée moyenne de service", "Atención media"},
	[W_BY_HOUR] = {"Waiting time by hour of the day", "Wartezeit nach Tageszeit", "Attente selon l’heure", "Espera según la hora"},
	[W_BY_HOUR_DESC] = {
		"Bars: mean waiting time of those who were called in that hour. Line: nine of ten waited at most that long. In minutes.",
		"Balken: mittlere Wartezeit derer, die in dieser Stunde aufgerufen wurden. Linie: neun von zehn warteten höchstens so lange. In Minuten.",
		"Barres : attente moyenne des personnes appelées à cette heure. Ligne : neuf sur dix ont attendu au plus ce temps. En minutes.",
		"Barras: espera media de quienes fueron llamados en esa hora. Línea: nueve de cada diez esperaron como máximo ese tiempo. En minutos."},
	[W_HOUR] = {"Hour", "Stunde", "Heure", "Hora"},
	[W_LOAD] = {"When people come", "Wann Menschen kommen", "Quand les gens viennent", "Cuándo viene la gente"},
	[W_LOAD_DESC] = {
		"Mean arrivals for each weekday and hour; the darker, the more.",
		"Mittlere Zahl der Ankünfte je Wochentag und Stunde; je kräftiger, desto mehr.",
		"Nombre moyen d’arrivées par jour de la semaine et par heure ; plus la couleur est soutenue, plus il y en a.",
		"Media de llegadas por día de la semana y hora; cuanto más intenso el color, más llegadas."},
	[W_WEEKDAY] = {"Weekday", "Wochentag", "Jour", "Día"},
	[W_BY_DAY] = {"Day by day", "Tag für Tag", "Jour par jour", "Día a día"},
	[W_BY_WEEK] = {"Week by week", "Woche für Woche", "Semaine par semaine", "Semana a semana"},
	[W_BY_MONTH] = {"Month by month", "Monat für Monat", "Mois par mois", "Mes a mes"},
	[W_BY_DAY_DESC] = {
		"Bars: people who came. Line: people served.",
		"Balken: angekommene Personen. Linie: bediente Personen.",
		"Barres : personnes arrivées. Ligne : personnes servies.",
		"Barras: personas que llegaron. Línea: personas atendidas."},
	[W_DATE] = {"Date", "Datum", "Date", "Fecha"},
	[W_WEEK_FROM] = {"Week from", "Woche ab", "Semaine du", "Semana del"},
	[W_MONTH] = {"Month", "Monat", "Mois", "Mes"},
	[W_LEVEL] = {"Service level", "Servicegrad", "Niveau de service", "Nivel de servicio"},
	[W_LEVEL_DESC] = {
		"Share of those called who had waited no longer than the target of their queue, in percent.",
		"Anteil der Aufgerufenen, die nicht länger als den Zielwert ihrer Warteschlange gewartet hatten, in Prozent.",
		"Part des personnes appelées qui n’avaient pas attendu plus que l’objectif de leur file, en pour cent.",
		"Proporción de los llamados que no habían esperado más que el objetivo de su cola, en porcentaje."},
	[W_CALLED] = {"Called", "Aufgerufen", "Appelés", "Llamados"},
	[W_QUEUES] = {"Queues", "Warteschlangen", "Files d’attente", "Colas"},
	[W_BRANCHES] = {"Branches", "Standorte", "Sites", "Sedes"},
	[W_CLASSES] = {"Customer classes", "Kundenklassen", "Catégories de clients", "Clases de clientes"},
	[W_PARTS_DESC] = {
		"Bars: mean waiting time. Dots: nine of ten waited at most that long. In minutes.",
		"Balken: mittlere Wartezeit. Punkte: neun von zehn warteten höchstens so lange. In Minuten.",
		"Barres : attente moyenne. Points : neuf sur dix ont attendu au plus ce temps. En minutes.",
		"Barras: espera media. Puntos: nueve de cada diez esperaron como máximo ese tiempo. En minutos."},
	[W_STAFF] = {"Staff", "Personal", "Personnel", "Personal"},
	[W_STAFF_DESC] = {
		"How the time at open counters was spent, in hours.",
		"Wie die Zeit an geöffneten Schaltern verbracht wurde, in Stunden.",
		"Emploi du temps aux guichets ouverts, en heures.",
		"En qué se empleó el tiempo en los mostradores abiertos, en horas."},
	[W_NAME] = {"Name", "Name", "Nom", "Nombre"},
	[W_DAYS] = {"Days", "Tage", "Jours", "Días"},
	[W_SERVING] = {"Serving", "Bedienen", "En service", "Atendiendo"},
	[W_WALKING] = {"Waiting for the person called", "Warten auf Aufgerufene", "Attente de la personne appelée", "Esperando al llamado"},
	[W_IDLE] = {"Free", "Frei", "Libre", "Libre"},
	[W_PAUSED] = {"Pause", "Pause", "Pause", "Pausa"},
	[W_UNNAMED] = {"(nobody signed in)", "(niemand angemeldet)", "(personne d’identifié)", "(sin identificar)"},
	[W_EXPECTED] = {"Expected in the next seven days", "Erwartet in den nächsten sieben Tagen", "Attendu dans les sept prochains jours", "Previsto para los próximos siete días"},
	[W_EXPECTED_DESC] = {
		"Expected arrivals: mean of the weekday and hour over the last eight weeks, with a linear trend.",
		"Erwartete Ankünfte: Mittel des Wochentags und der Stunde über die letzten acht Wochen, mit linearem Trend.",
		"Arrivées attendues : moyenne du jour et de l’heure sur les huit dernières semaines, avec tendance linéaire.",
		"Llegadas previstas: media del día y la hora en las últimas ocho semanas, con tendencia lineal."},
	[W_MINUTES] = {"min", "min", "min", "min"},
	[W_HOURS] = {"h", "h", "h", "h"},
	[W_TOTAL] = {"Total", "Gesamt", "Total", "Total"},
	[W_NOTHING] = {"Nothing was recorded in this period.", "In diesem Zeitraum wurde nichts erfasst.", "Rien n’a été enregistré durant cette période.", "No se registró nada en este periodo."},
	[W_METHOD] = {
		"Waiting time is the time in a queue until the call, of those who were called. Percentiles are exact to 1 %.",
		"Wartezeit ist die Zeit in einer Warteschlange bis zum Aufruf, bei denen, die aufgerufen wurden. Perzentile sind auf 1 % genau.",
		"L’attente est le temps passé dans une file jusqu’à l’appel, pour les personnes appelées. Les centiles sont exacts à 1 % près.",
		"La espera es el tiempo en una cola hasta la llamada, de quienes fueron llamados. Los percentiles son exactos al 1 %."},
	[W_TO] = {"to", "bis", "au", "al"},
	[W_MORE] = {"more", "weitere", "de plus", "más"}
};

typedef struct Form
{
	const char *decimal;
	const char *group;
	int			group_from;		/* digits from which numbers are grouped */
	const char *percent;
	const char *weekdays[7];	/* short, Monday first */
	const char *months[12];
} Form;

static const Form forms[QMS_LANGUAGES] = {
	{".", ",", 4, "%",
		{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
	{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}},
	{",", ".", 4, "\u00a0%",
		{"Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"},
	{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}},
	{",", "\u202f", 4, "\u202f%",
		{"lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."},
	{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}},
	{",", ".", 5, "\u00a0%",
		{"lun", "mar", "mié", "jue", "vie", "sáb", "dom"},
	{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"}}
};

/* In UTF-8, whatever the encoding of the database is. */
const char *
qms_word(QmsLanguage language, QmsWord word)
{
	return words[word][language];
}

const char *
qms_weekday_word(QmsLanguage language, int weekday)
{
	return forms[language].weekdays[weekday - 1];
}

/* Between a word and what it names. */
const char *
qms_form_colon(QmsLanguage language)
{
	return language == QMS_FR ? "\u00a0: " : ": ";
}

/* 1234567 as "1,234,567". */
char *
qms_form_int(QmsLanguage language, int64 value)
{
	const Form *form = &forms[language];
	char	   *digits = psprintf("%lld", (long long) (value < 0 ? -value : value));
	int			length = (int) strlen(digits);
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	if (value < 0)
		appendStringInfoString(&text, "\u2212");
	for (i = 0; i < length; i++)
	{
		if (i > 0 && (length - i) % 3 == 0 && length >= form->group_from)
			appendStringInfoString(&text, form->group);
		appendStringInfoChar(&text, digits[i]);
	}
	return text.data;
}

/* With one digit behind the point. */
char *
qms_form_tenths(QmsLanguage language, double value)
{
	int64		tenths = (int64) rint(fabs(value) * 10);

	return psprintf("%s%s%s%lld", value < 0 && tenths > 0 ? "\u2212" : "", qms_form_int(language, tenths / 10),
					forms[language].decimal, (long long) (tenths % 10));
}

/* A share from 0 to 1; below 0: there is none. */
char *
qms_form_percent(QmsLanguage language, double share)
{
	if (share < 0)
		return pstrdup("\u2013");
	return psprintf("%s%s", qms_form_tenths(language, share * 100), forms[language].percent);
}

/* "45 s", "12 min 30 s", "1 h 05 min"; below 0: there is none. */
char *
qms_form_duration(int64 usec)
{
	int64		seconds = (usec + USECS_PER_SEC / 2) / USECS_PER_SEC;

	if (usec < 0)
		return pstrdup("\u2013");
	if (seconds < SECS_PER_MINUTE)
		return psprintf("%lld\u00a0s", (long long) seconds);
	if (seconds < SECS_PER_HOUR)
		return psprintf("%lld\u00a0min\u00a0%02lld\u00a0s", (long long) seconds / SECS_PER_MINUTE,
						(long long) seconds % SECS_PER_MINUTE);
	return psprintf("%lld\u00a0h\u00a0%02lld\u00a0min", (long long) seconds / SECS_PER_HOUR,
					(long long) seconds / SECS_PER_MINUTE % MINS_PER_HOUR);
}

/* "2 March 2026", "2. März 2026", "1er mars 2026", "2 de marzo de 2026" */
char *
qms_form_date(QmsLanguage language, int day)
{
	const char *month;
	int			y;
	int			m;
	int			d;

	j2date(day, &y, &m, &d);
	month = forms[language].months[m - 1];
	switch (language)
	{
		case QMS_DE:
			return psprintf("%d. %s %d", d, month, y);
		case QMS_FR:
			return psprintf("%d%s %s %d", d, d == 1 ? "er" : "", month, y);
		case QMS_ES:
			return psprintf("%d de %s de %d", d, month, y);
		default:
			return psprintf("%d %s %d", d, month, y);
	}
}

/* "Mon 2 Mar 2026", "Mo 02.03.2026", "lun. 02/03/2026" */
char *
qms_form_day(QmsLanguage language, int day)
{
	const char *weekday = qms_weekday_word(language, qms_local_weekday(day));
	int			y;
	int			m;
	int			d;

	j2date(day, &y, &m, &d);
	if (language == QMS_EN)
		return psprintf("%s %d %.3s %d", weekday, d, forms[language].months[m - 1], y);
	if (language == QMS_DE)
		return psprintf("%s %02d.%02d.%d", weekday, d, m, y);
	return psprintf("%s %02d/%02d/%d", weekday, d, m, y);
}

/* "March 2026" */
char *
qms_form_month(QmsLanguage language, int day)
{
	int			y;
	int			m;
	int			d;

	j2date(day, &y, &m, &d);
	if (language == QMS_ES)
		return psprintf("%s de %d", forms[language].months[m - 1], y);
	return psprintf("%s %d", forms[language].months[m - 1], y);
}

/* For an axis: "2 Mar", "2.3.", "2/3". */
char *
qms_form_short(QmsLanguage language, int day)
{
	int			y;
	int			m;
	int			d;

	j2date(day, &y, &m, &d);
	if (language == QMS_EN)
		return psprintf("%d %.3s", d, forms[language].months[m - 1]);
	return psprintf(language == QMS_DE ? "%d.%d." : "%d/%d", d, m);
}

/* "2 March 2026, 14:05" */
char *
qms_form_moment(QmsLanguage language, TimestampTz at, pg_tz *zone)
{
	QmsReportHour hour;

	qms_report_hour(at, zone, &hour);
	return psprintf("%s, %02d:%02d", qms_form_date(language, hour.day), hour.hour,
					(int) ((at - hour.starts_at) / USECS_PER_MINUTE));
}
