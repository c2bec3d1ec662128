/* What the main program asks of its libraries. */
#ifndef LOGFOLD_HASHING_IMPORTS_H
#define LOGFOLD_HASHING_IMPORTS_H

#include <stdbool.h>

/* Whether the main program has an undefined symbol of that name, by its dynamic symbol table in
 * memory.  No heap, locks or errno. */
bool lf_main_imports(const char *symbol);

#endif
