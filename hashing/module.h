/* Which loaded module an address belongs to, and the file that this module came from.
 *
 * Answers come from the dynamic loader's lock-free table (_dl_find_object, glibc 2.35) and from the
 * module's own program headers in memory.  No heap, no locks, no errno; any thread, signal handlers
 * too.  An answer is good for as long as the module stays loaded: the caller must know that it is,
 * as one does who was called from it.
 */
#ifndef LOGFOLD_HASHING_MODULE_H
#define LOGFOLD_HASHING_MODULE_H

#include <elf.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "logfold/entry.h"

struct lf_module {
	const char *path;          /* as the loader has it; "" is the main program */
	uintptr_t base;            /* address in memory = base + address in the file */
	const Elf64_Phdr *headers; /* in the module's memory; NULL where they are not to be found */
	size_t header_count;
};

/* False: the address lies in no loaded module. */
bool lf_module_find(const void *address, struct lf_module *out);

/* The segment (PT_LOAD) that holds an address of the file; NULL where none does. */
const Elf64_Phdr *lf_module_segment(const struct lf_module *module, uint64_t file_address);

/* The basename of the module's file, not escaped.  The text lives as long as the module. */
struct lf_text lf_module_name(const struct lf_module *module);

enum {
	LF_BUILD_ID_CHARS = 64,    /* a longer build id counts as none */
	LF_MODULE_PATH_MAX = 1024, /* so does a longer path */
};

/* The build id in lower-case hex, out of the module's memory; returns its length, 0: it has none. */
size_t lf_module_build_id(const struct lf_module *module, char out[LF_BUILD_ID_CHARS]);

/* The absolute path of the module's file as the process knows it, any bytes; returns its length, 0: there is
 * no file, or nobody knows.  Another file may stand there by now. */
size_t lf_module_path(const struct lf_module *module, char out[LF_MODULE_PATH_MAX]);

/* Opens the module's file.  Returns an fd that the caller closes, or a negative errno: -ESTALE for
 * a file that is not the one that was loaded, by its first KiB (headers and build id). */
int lf_module_open(const struct lf_module *module, struct stat *out);

size_t lf_page_bytes(void);

#endif
