/* The file of a segment, as its owner creates and grows it.
 *
 * No fd stays open in the host: a chunk is reserved, mapped, and the file closed again; growing
 * opens it anew by its path and checks that it is still the same file.
 */
#ifndef LOGFOLD_MAP_SEGMENT_FILE_H
#define LOGFOLD_MAP_SEGMENT_FILE_H

#include <limits.h>
#include <sys/types.h>

#include "agent/map/layout.h"
#include "logfold/error.h"

struct lf_segment_file {
	char path[PATH_MAX];
	dev_t dev;
	ino_t ino;
};

/* What its owner says of itself. */
struct lf_segment_facts {
	const char *namespace;
	uint32_t owner_pid; /* 0: the caller's */
	uint64_t run_id;    /* 0: none */
};

/* Creates the file under a name of its own and maps chunk 0 with a complete header.  Errors as
 * lf_map_create(). */
LF_MUST_CHECK int lf_segment_file_create(struct lf_segment_file *file, const char *run_dir,
                                         const struct lf_segment_facts *facts,
                                         struct lf_segment **out);

/* Reserves and maps chunk `n`.  Harmless when it is there already. */
LF_MUST_CHECK int lf_segment_file_grow(const struct lf_segment_file *file, uint32_t n, char **out);

void lf_segment_file_remove(const struct lf_segment_file *file);

/* CLOCK_REALTIME in milliseconds. */
uint64_t lf_segment_now_ms(void);

#endif
