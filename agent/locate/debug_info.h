/* From an address of an ELF file to the line of source that stands for it, by elfutils' libdw.
 *
 * The debug information is looked for in the file itself, then where distributions put it: below a debug
 * folder by build id, beside the file by its .gnu_debuglink.  Nothing is fetched from anywhere.  The
 * file is believed only if it carries the build id that the caller saw in the running program; a
 * program that was built anew since has no lines here, unless the debug folder still has the old one's.
 *
 * libdw is not made for hostile files: whoever calls this has to be ready to die of one (main.c is).
 */
#ifndef LOGFOLD_LOCATE_DEBUG_INFO_H
#define LOGFOLD_LOCATE_DEBUG_INFO_H

#include <stdbool.h>
#include <stdint.h>

struct lf_debug_info;

struct lf_debug_wish {
	const char *path;       /* of the module */
	const char *build_id;   /* lower-case hex */
	const char *debug_path; /* elfutils' list of folders; empty: the usual ones */
};

/* NULL: there is nothing to be known of it. */
struct lf_debug_info *lf_debug_info_open(const struct lf_debug_wish *wish);
void lf_debug_info_close(struct lf_debug_info *info); /* NULL is fine */

/* False: nobody knows.  The name of the file is the debug information's own, any bytes. */
bool lf_debug_info_line(const struct lf_debug_info *info, uint64_t address, const char **file,
			int *line);

#endif
