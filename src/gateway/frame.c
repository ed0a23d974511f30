/*
 * frame.c
 *		Immutable messages, shared by all who receive them.
 */
#include "gateway.h"

#include <stdlib.h>
#include <string.h>

/* A frame of so many bytes, to be filled by the caller; a zero byte follows them. */
QmsFrame *
qms_frame_new(size_t size)
{
	QmsFrame   *frame = malloc(sizeof(QmsFrame) + QMS_FRAME_ROOM + size + 1);

	if (frame == NULL)
		abort();
	frame->refs = 1;
	frame->binary = false;
	frame->size = size;
	frame->data = (unsigned char *) (frame + 1) + QMS_FRAME_ROOM;
	frame->data[size] = '\0';
	return frame;
}

/* A frame of a text, which is empty after it. */
QmsFrame *
qms_frame_of(QmsText *text)
{
	QmsFrame   *frame = qms_frame_new(text->size);

	if (text->size > 0)
		memcpy(frame->data, text->data, text->size);
	qms_text_clear(text);
	return frame;
}

/* One holder more. */
QmsFrame *
qms_frame_ref(QmsFrame *frame)
{
	frame->refs++;
	return frame;
}

/* One holder less; the last one frees it. */
void
qms_frame_unref(QmsFrame *frame)
{
	if (frame != NULL && --frame->refs == 0)
		free(frame);
}
