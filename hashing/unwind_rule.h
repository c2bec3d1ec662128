/* How to leave a function, by its unwind entry.  For unwind.c alone. */
#ifndef LOGFOLD_HASHING_UNWIND_RULE_H
#define LOGFOLD_HASHING_UNWIND_RULE_H

#include "hashing/unwind.h"
#include "hashing/unwind_table.h"

/* The rule of the instruction at this offset in the entry's code; false where there is none. */
bool lf_unwind_rule(const struct lf_unwind_entry *entry, uint64_t offset, struct lf_unwind *out);

/* Whether the code begins where its function is entered, and is not a part that was split off. */
bool lf_unwind_is_entered(const struct lf_unwind_entry *entry);

#endif
