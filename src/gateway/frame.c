/*
 * frame.c
 *		Immutable text, shared by all who receive it.
 */
#include "gateway.h"

#include <stdlib.h>

/* A frame of so many bytes, to be filled by the caller; a zero byte follows them. */
QmsFrame *
qms_frame_new(size_t size)
{
	QmsFrame   *frame = malloc(sizeof(QmsFrame) + QMS_FRAME_ROOM + size + 1);

	if (frame == NULL)
		abort();
	frame->refs = 1;
	frame->size = size;
	frame->data = (unsigned char *) (frame + 1) + QMS_FRAME_ROOM;
	frame->data[size] = '\0';
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
