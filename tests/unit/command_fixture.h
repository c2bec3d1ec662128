/* Commands, and what is there before them. */
#ifndef LOGFOLD_TESTS_UNIT_COMMAND_FIXTURE_H
#define LOGFOLD_TESTS_UNIT_COMMAND_FIXTURE_H

#include "sinks/cache/commands.h"

#define TEXT(literal) ((struct lf_text){ (literal), sizeof(literal) - 1 })

enum { NOW = 1000000, LATER = NOW + 5000, VALUE_MAX = 1000 };

/* Hashes are these fields one behind the other: "a" is "1", "b" is "2". */
#define A1 "\1\0\0\0a\1\0\0\0" "1"
#define B2 "\1\0\0\0b\1\0\0\0" "2"

/* Tagged twice. */
struct lf_command a_command(enum lf_command_kind kind);
struct lf_command with_fields(enum lf_command_kind kind, const struct lf_cache_field *fields, size_t count);

/* What is there before a command: tagged once, critical, expiring LATER. */
struct lf_record a_string(struct lf_text value);
struct lf_record a_hash(struct lf_text value);

/* It must succeed. */
struct lf_command_result applied(const struct lf_command *what, const struct lf_record *before);

void expect_failure(const struct lf_command *what, const struct lf_record *before, int want);
void expect_text(struct lf_text text, struct lf_text want);
/* Stored, with that number and value; drops it. */
void expect_change(const struct lf_command *what, const struct lf_record *before, int64_t number, struct lf_text value);
/* Not stored. */
void expect_outcome(const struct lf_command *what, const struct lf_record *before, enum lf_outcome_of_command outcome,
                    int64_t number);
/* All that is neither value nor TTL is as before. */
void expect_kept(const struct lf_record *record, const struct lf_record *before);
void expect_ttl_kept(const struct lf_record *record, const struct lf_record *before);

#endif
