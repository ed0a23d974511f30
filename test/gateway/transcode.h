/*
 * transcode.h
 *		The protocol's Protobuf form into JSON and back, by a table of client.proto;
 *		for the tests, and knowing nothing of the gateway's own code.
 */
#ifndef QMS_TRANSCODE_H
#define QMS_TRANSCODE_H

#include <stdbool.h>
#include <stddef.h>

/* Commands, one per line; null if they are not JSON.  Freed by the caller, as below. */
extern char *transcode_commands(const char *lines, size_t size, size_t *bytes);

/* Replies as lines; null if they are none, or have members that client.proto has not. */
extern char *transcode_replies(const char *bytes, size_t size);

#endif							/* QMS_TRANSCODE_H */
