/* Calls whose names other libraries give functions of their own: warn(int, int) of one crashed under a
 * plain export.
 *
 * They are exported under libc's oldest version, and hidden ("warn@GLIBC_2.2.5", not "@@"), so that
 * only a reference to libc's own function finds them.  The dynamic loader takes the first version that
 * a library defines for "any": exports.sh puts one without symbols before it.
 */
#ifndef LOGFOLD_HOOK_VERSIONED_H
#define LOGFOLD_HOOK_VERSIONED_H

#if defined(__x86_64__)
#define LF_LIBC_BASE GLIBC_2.2.5
#elif defined(__aarch64__)
#define LF_LIBC_BASE GLIBC_2.17
#else
#error "which version has glibc's first symbols on this architecture?"
#endif

#define LF_QUOTED_TOKEN(token) #token
#define LF_QUOTED(macro) LF_QUOTED_TOKEN(macro)

/* lf_hooked_<symbol>, defined in the same file, is exported as <symbol> of that version. */
#define LF_VERSIONED(symbol) \
	__asm__(".symver lf_hooked_" #symbol ", " #symbol "@" LF_QUOTED(LF_LIBC_BASE))

#endif
