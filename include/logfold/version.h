/* The version of logfold, as `logfold version` prints it. */
#ifndef LOGFOLD_VERSION_H
#define LOGFOLD_VERSION_H

#define LF_VERSION "0.1.0"

#endif
