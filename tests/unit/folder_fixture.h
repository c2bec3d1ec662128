#ifndef LF_FOLDER_FIXTURE_H
#define LF_FOLDER_FIXTURE_H

enum { FOLDER_MAX = 256 };

/* A new folder below $TMPDIR, which in_folder.sh makes for a program of tests and removes behind it. */
void new_folder(char path[FOLDER_MAX]);

#endif
