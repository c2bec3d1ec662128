/* A stdio stream over an fd of ours that others share.
 *
 * The command that `logfold run` started may have made the terminal or pipe non-blocking (node does),
 * and that holds for everybody who has the file open.  stdio gives up there and loses the rest; this
 * stream waits until there is room.
 */
#ifndef LOGFOLD_CLI_OUTPUT_H
#define LOGFOLD_CLI_OUTPUT_H

#include <stdio.h>

/* The fd stays the caller's and open when the stream is closed.  NULL with errno. */
FILE *lf_output_open(int fd);

#endif
