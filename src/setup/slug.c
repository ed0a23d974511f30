/*
 * slug.c
 *		Names for URLs: lower-case ASCII letters, digits and single hyphens.
 */
#include "setup/setup.h"

#include "mb/pg_wchar.h"

#define MAX_SLUG 63
#define MAX_MADE 50				/* leaves room for "-2" and the like */

/* Latin-1 Supplement and Latin Extended-A, U+00C0 to U+017F; German umlauts as Germans write them. */
static const char *const latin[] = {
	"a", "a", "a", "a", "ae", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i",
	"d", "n", "o", "o", "o", "o", "oe", "", "o", "u", "u", "u", "ue", "y", "th", "ss",
	"a", "a", "a", "a", "ae", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i",
	"d", "n", "o", "o", "o", "o", "oe", "", "o", "u", "u", "u", "ue", "y", "th", "y",
	"a", "a", "a", "a", "a", "a", "c", "c", "c", "c", "c", "c", "c", "c", "d", "d",
	"d", "d", "e", "e", "e", "e", "e", "e", "e", "e", "e", "e", "g", "g", "g", "g",
	"g", "g", "g", "g", "h", "h", "h", "h", "i", "i", "i", "i", "i", "i", "i", "i",
	"i", "i", "ij", "ij", "j", "j", "k", "k", "k", "l", "l", "l", "l", "l", "l", "l",
	"l", "l", "l", "n", "n", "n", "n", "n", "n", "n", "n", "n", "o", "o", "o", "o",
	"o", "o", "oe", "oe", "r", "r", "r", "r", "r", "r", "s", "s", "s", "s", "s", "s",
	"s", "s", "t", "t", "t", "t", "t", "t", "u", "u", "u", "u", "u", "u", "u", "u",
	"u", "u", "u", "u", "w", "w", "y", "y", "y", "z", "z", "z", "z", "z", "z", "s"
};

static bool
is_slug_letter(pg_wchar c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The slug of a name; fallback when no letter or digit of it can be written in ASCII. */
char *
qms_slug_make(const char *name, const char *fallback)
{
	const unsigned char *p;
	char	   *slug = palloc(MAX_MADE + 8);
	int			n = 0;
	bool		gap = false;

	StaticAssertStmt(lengthof(latin) == 0x180 - 0xC0, "one entry for each letter");
	p = (const unsigned char *) pg_server_to_any(name, strlen(name), PG_UTF8);
	while (*p != '\0' && n < MAX_MADE)
	{
		pg_wchar	c = utf8_to_unicode(p);
		char		single[2] = {0};
		const char *text = single;

		p += pg_utf_mblen(p);
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c >= 0xC0 && c < 0x180)
			text = latin[c - 0xC0];
		else if (is_slug_letter(c))
			single[0] = (char) c;
		if (*text == '\0')
		{
			/* An apostrophe joins: "d'accueil" is one word to search for. */
			gap = gap || (c != '\'' && c != 0x2019);
			continue;
		}
		if (gap && n > 0)
			slug[n++] = '-';
		gap = false;
		strcpy(slug + n, text);
		n += strlen(text);
	}
	n = Min(n, MAX_MADE);
	slug[n] = '\0';
	while (n > 0 && slug[n - 1] == '-')
		slug[--n] = '\0';
	return *slug != '\0' ? slug : pstrdup(fallback);
}

/* A slug that somebody gave. */
void
qms_slug_check(const char *slug)
{
	const char *p;
	bool		good = *slug != '\0' && strlen(slug) <= MAX_SLUG;

	for (p = slug; good && *p != '\0'; p++)
		good = is_slug_letter((unsigned char) *p) || (*p == '-' && p > slug && p[1] != '-' && p[1] != '\0');
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid slug \"%s\"", slug),
				 errdetail("A slug has 1 to %d characters: lower-case letters a-z, digits, and single hyphens between them.", MAX_SLUG),
				 errhint("Leave it out to have one made from the name.")));
}
