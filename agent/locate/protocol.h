/* What the agent asks logfold-locate, and what it answers: one module in one life of the program.
 *
 *   stdin   uid NUL build-id NUL debug-path NUL module-path NUL { address NUL }
 *   stdout  for each address, in their order: line NUL file NUL
 *
 * Addresses are of the file, in hex; the build id is in lower-case hex.  The debug path is elfutils' own
 * list of folders, empty for the usual ones.  A line of 0 and an empty file: not known.  What is missing
 * at the end of the answer is not known either, as libdw may die of a file that somebody made for that.
 */
#ifndef LOGFOLD_LOCATE_PROTOCOL_H
#define LOGFOLD_LOCATE_PROTOCOL_H

#define LF_LOCATE_PROGRAM "logfold-locate"
#define LF_LOCATE_DEBUG_PATH_ENV "LOGFOLD_DEBUG_PATH"

enum {
	LF_LOCATE_ADDRESSES = 64,
	LF_LOCATE_FILE_MAX = 1024,    /* a longer name of a source file is none */
	LF_LOCATE_REQUEST_MAX = 4096, /* what an empty pipe takes, however few pages its user may have */
};

#endif
