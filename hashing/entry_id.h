/* The entry id: which message a call is, as a number that every host and language computes alike.
 *
 * SHA-256 over method, template and top frame, in this order, each preceded by its length in bytes
 * as a 64-bit little-endian integer.  The id is the first 16 bytes of the digest, written as 32
 * lower-case hex characters.  tests/vectors/entry_id.jsonl holds known answers.
 *
 * No heap, no locks, no errno: the hook calls this inside the host's printf.
 */
#ifndef LOGFOLD_HASHING_ENTRY_ID_H
#define LOGFOLD_HASHING_ENTRY_ID_H

#include "logfold/entry.h"

void lf_entry_id(const struct lf_identity *what, struct lf_id *out);

/* Writes LF_HASH_CHARS characters and a NUL. */
void lf_id_to_hex(const struct lf_id *id, char out[LF_HASH_CHARS + 1]);

#endif
