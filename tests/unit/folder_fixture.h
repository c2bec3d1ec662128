#ifndef LF_FOLDER_FIXTURE_H
#define LF_FOLDER_FIXTURE_H

enum { FOLDER_MAX = 256 };

/* A new folder below $TMPDIR, which run.sh makes for the tests and removes behind them. */
void new_folder(char path[FOLDER_MAX]);

#endif
