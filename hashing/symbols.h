/* The functions of one ELF file, indexed by address.
 *
 * An index is built once per file (device, inode, size, time of change) from its .symtab, or from
 * its .dynsym where it has no other, and is never freed: eight bytes a function in anonymous memory.
 * What else there is to know about a function, its name above all, is read from the file again when
 * it is asked for.  Nothing in the file is trusted; a file that lies gives a wrong name or none.
 *
 * No heap, no locks, no errno; any thread, signal handlers too.  Two threads that meet a new file
 * at once both build its index, and one of the two is dropped.
 */
#ifndef LOGFOLD_HASHING_SYMBOLS_H
#define LOGFOLD_HASHING_SYMBOLS_H

#include <elf.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "hashing/module.h"

enum {
	LF_SYMBOL_MAX = 512,             /* bytes of a name that are looked at */
	LF_SYMBOL_NUMBER_BITS = 22,
	LF_FUNCTIONS_MAX = 1 << 20,      /* of one file; the table's first ones are kept */
};

/* Lower counts first where several symbols share an address. */
enum lf_symbol_rank { LF_RANK_GLOBAL, LF_RANK_WEAK, LF_RANK_LOCAL };

struct lf_function {
	uint32_t start; /* address in the file, less `lowest` */
	uint32_t number : LF_SYMBOL_NUMBER_BITS; /* in the symbol table */
	uint32_t size_class : 6;                 /* 0: no size; n: at most 2^(n-1) bytes */
	uint32_t rank : 2;
};
_Static_assert(sizeof(struct lf_function) == 8, "the promise is eight bytes a function");

/* Where the file has what is read on demand.  Checked against the file's size when found. */
struct lf_symbol_table {
	uint64_t offset;
	uint64_t count;
	uint64_t names_offset;
	uint64_t names_bytes;
	uint64_t sections_offset;
	uint64_t section_count;
};

struct lf_symbols {
	const struct lf_symbols *next; /* in the list of published indexes */
	uint32_t depth;                /* how many follow */
	bool complete; /* a function of the file is in the index: a gap is the one before it */
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
	struct lf_symbol_table table;
	uint64_t lowest;
	size_t count;
	struct lf_function functions[]; /* by start, then by number */
};

/* The index of a file that was opened by lf_module_open().  NULL: no memory, or too many files. */
const struct lf_symbols *lf_symbols_of(const struct lf_module *module, int fd,
				       const struct stat *st);

/* Writes the name of the function that covers an address of the file, without suffixes of the
 * compiler or versions, and returns its length; 0 where none does. */
size_t lf_symbols_name(const struct lf_symbols *symbols, int fd, uint64_t address,
		       char out[LF_SYMBOL_MAX]);

/* Builds an index; for lf_symbols_of() and tests.  A file without functions has an empty one. */
struct lf_symbols *lf_symbols_build(const struct lf_module *module, int fd, const struct stat *st);
void lf_symbols_free(struct lf_symbols *symbols);

#endif
