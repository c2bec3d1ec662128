/* Random UUIDs: version 4 of RFC 9562. */
#ifndef LOGFOLD_HASHING_UUID_H
#define LOGFOLD_HASHING_UUID_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "logfold/entry.h"
#include "logfold/error.h"

/* Writes LF_UUID_CHARS characters and a NUL. */
LF_MUST_CHECK static inline int lf_uuid_random(char out[LF_UUID_CHARS + 1], struct lf_error *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return lf_fail(err, -EIO, "the kernel gives no random numbers");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, LF_UUID_CHARS + 1,
	               "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	               b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
	               b[15]);
	return 0;
}

#endif
