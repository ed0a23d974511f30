/*
 * text.c
 *		A buffer that grows.  Includes nothing of the libraries: it is fuzzed with
 *		the protocol.
 */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 128

/* Room for so many bytes more and the zero byte. */
static void
make_room(QmsText *text, size_t more)
{
	size_t		room = text->room == 0 ? FIRST_ROOM : text->room;
	char	   *data;

	if (more < text->room - text->size)
		return;
	if (more >= SIZE_MAX / 4 - text->size)
		abort();
	while (room < text->size + more + 1)
		room *= 2;
	data = realloc(text->data, room);
	if (data == NULL)
	{
		fputs("qms_gateway: out of memory\n", stderr);
		abort();
	}
	text->data = data;
	text->room = room;
}

/* So many bytes more. */
void
qms_text_append(QmsText *text, const char *what, size_t size)
{
	make_room(text, size);
	if (size > 0)
		memcpy(text->data + text->size, what, size);
	text->size += size;
	text->data[text->size] = '\0';
}

/* A string more. */
void
qms_text_puts(QmsText *text, const char *what)
{
	qms_text_append(text, what, strlen(what));
}

/* Formatted text more. */
void
qms_text_printf(QmsText *text, const char *format,...)
{
	va_list		args;
	int			needed;

	make_room(text, 0);
	va_start(args, format);
	needed = vsnprintf(text->data + text->size, text->room - text->size, format, args);
	va_end(args);
	if (needed < 0)
		abort();
	if ((size_t) needed >= text->room - text->size)
	{
		make_room(text, needed);
		va_start(args, format);
		vsnprintf(text->data + text->size, text->room - text->size, format, args);
		va_end(args);
	}
	text->size += needed;
}

/* The string as JSON, with its quotes; bytes that JSON must not have are escaped. */
void
qms_text_json_string(QmsText *text, const char *what)
{
	const char *run = what;

	qms_text_append(text, "\"", 1);
	for (; *what != '\0'; what++)
	{
		unsigned char c = (unsigned char) *what;

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		qms_text_append(text, run, what - run);
		run = what + 1;
		if (c == '"' || c == '\\')
			qms_text_printf(text, "\\%c", c);
		else if (c == '\n')
			qms_text_puts(text, "\\n");
		else
			qms_text_printf(text, "\\u%04x", c);
	}
	qms_text_append(text, run, what - run);
	qms_text_append(text, "\"", 1);
}

/* One character; its length, or 0 if it is none.  Only shortest forms, no surrogates. */
static size_t
utf8_length(const unsigned char *p, size_t left)
{
	static const struct
	{
		unsigned char from,
					to,
					low,
					high,
					length;
	}			forms[] = {
		{0x00, 0x7f, 0, 0, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}
	};
	size_t		i,
				j;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		if (*p < forms[i].from || *p > forms[i].to)
			continue;
		if (forms[i].length > left || (forms[i].length > 1 && (p[1] < forms[i].low || p[1] > forms[i].high)))
			return 0;
		for (j = 2; j < forms[i].length; j++)
			if ((p[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

/* Whether it is UTF-8, to its end. */
bool
qms_text_is_utf8(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		at = 0,
				length;

	while (at < size)
	{
		length = utf8_length(p + at, size - at);
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

/* Empty; the memory is kept. */
void
qms_text_clear(QmsText *text)
{
	text->size = 0;
	if (text->data != NULL)
		text->data[0] = '\0';
}

/* Empty, and the memory given back. */
void
qms_text_free(QmsText *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}
