/* What the frame tests' programs use to tell which frame a call of theirs has.
 *
 * Prints `label`, the frame, and the return address as an address of its file in hex, separated by
 * tabs, one call a line. */
#ifndef LOGFOLD_TESTS_FRAMES_REPORT_H
#define LOGFOLD_TESTS_FRAMES_REPORT_H

#include <stdnoreturn.h>

typedef void report_fn(const char *label);

void report(const char *label);
void report_rarely(const char *label) __attribute__((cold));
noreturn void report_and_exit(const char *label);
void report_address(const char *label, const void *return_address);

#endif
