/* Which process a segment belongs to, and the file name that says so.
 *
 *   <boot id, 32 hex>-<pid>-<start time>-<random, 32 hex>.seg
 *
 * A name is never used twice: exec and a reused pid make a new one.
 */
#ifndef LOGFOLD_MAP_PROCESS_ID_H
#define LOGFOLD_MAP_PROCESS_ID_H

#include <stdbool.h>

#include "agent/map/layout.h"

struct lf_process_id {
	char boot_id[33];       /* zeros where /proc is out of reach */
	uint32_t pid;           /* in its own pid namespace */
	uint64_t start_time;    /* field 22 of /proc/PID/stat, clock ticks since boot; 0: unknown */
	uint64_t pid_namespace; /* inode of /proc/PID/ns/pid; 0: unknown.  Not in the name */
};

/* A process of our own pid namespace; 0: the calling one.  No heap, stdio or errno. */
void lf_process_id_read(struct lf_process_id *out, uint32_t pid);

/* The basename of the running program's file, NUL-terminated, cut to fit.  `room` is for the whole
 * path: hosts may have small stacks. */
void lf_process_program(char *out, size_t size, char *room, size_t room_size);

/* Writes the name, NUL-terminated. */
void lf_process_id_name(const struct lf_process_id *id, const uint8_t random[16],
                        char out[LF_SEGMENT_NAME_MAX]);

/* Reads boot id, pid and start time back from a name; false when it is not a segment's. */
bool lf_process_id_parse(const char *name, struct lf_process_id *out);

/* Field 22 of the text of /proc/PID/stat, and its state letter and thread count; false when it
 * cannot be read. */
bool lf_process_stat_parse(struct lf_text stat, char *state, uint64_t *threads,
                           uint64_t *start_time);

/* The same of a process of our own pid namespace; false, too, when it is gone or hidden.  No heap,
 * stdio or errno. */
bool lf_process_stat(uint32_t pid, char *state, uint64_t *threads, uint64_t *start_time);

#endif
