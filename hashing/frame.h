/* The top frame: which function of which module made a call, by its return address.
 *
 * Written `basename!symbol`.  The symbol is the one that covers (return address - 1), the last byte
 * of the call, from the file's .symtab where it has one, else from its .dynsym.  Where none covers
 * it: the module and the offset of that byte in the file's own address space, `basename+0x1f20`, for
 * which addr2line and objdump give the line of the call.  Code outside every module (made at run
 * time): `[jit]`.  Equal after a restart, under ASLR, and after a rebuild that did not rename the
 * function.
 *
 * - Suffixes of the compiler are cut off (.isra.0, .part.1, .cold, .constprop.0, .lto_priv.0,
 *   .llvm.…), and versions (memcpy@@GLIBC_2.14).
 * - Of several symbols at one address a global one counts before a weak and that before a local
 *   one, then the first in byte order.  Functions within functions: the innermost.
 * - A symbol without size reaches up to the next one, within its section, and in a .symtab only: a
 *   .dynsym does not tell what lies between.  Global labels without type are functions, as assembly
 *   often has them.
 * - The main program's module name is the basename of the file it was started from, not argv[0]; a
 *   library's is that of the path it was loaded by (libc.so.6).  At most 128 bytes of it are kept.
 *
 * The hook calls this inside the host's printf, on the first sight of a call site: no heap, no
 * locks, no errno, any number of threads at once, signal handlers too (3 KiB of stack).  The symbols
 * of a module are read and indexed once (8 bytes a function, in anonymous memory that is never
 * freed), the file is closed again at once, and names are read back on demand.  A file that was
 * replaced since it was loaded is noticed and not used.  Where the file cannot be opened or read
 * (chroot, no free fd, no memory), the frame is the offset; the host never fails for it.
 */
#ifndef LOGFOLD_HASHING_FRAME_H
#define LOGFOLD_HASHING_FRAME_H

#include <stdbool.h>

#include "logfold/entry.h"

/* Writes the frame and returns its length, at most LF_FRAME_MAX.  A longer one is cut; bytes that
 * are not UTF-8 are escaped.  No NUL is written. */
size_t lf_frame_of(const void *return_address, char out[LF_FRAME_MAX]);

/* The frame of a function that is known by name, in the module that holds the address. */
size_t lf_frame_in(const void *address, struct lf_text function, char out[LF_FRAME_MAX]);

/* Whether the address lies in a segment of a loaded module that is mapped without write
 * permission (or is RELRO): what stands there is a constant of the program as long as the module
 * stays loaded. */
bool lf_is_constant(const void *address);

/* Whether the address lies in any loaded module: a call site elsewhere is code made at run time. */
bool lf_is_in_module(const void *address);

#endif
