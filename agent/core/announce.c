#include "agent/core/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/core/excerpt.h"
#include "agent/map/repeats.h"
#include "hashing/entry_id.h"

enum { BUCKETS = 1024 };

struct message {
	struct lf_announced what;
	struct message *next;
	uint64_t calls;     /* since it was told last */
	uint64_t all;       /* since it began */
	uint64_t began_ms, told_ms;
	bool told;          /* that it began */
	bool is_over;       /* as of the last look */
	char *name;         /* NULL: it is not known */
};

struct lf_announcer {
	struct lf_reporter reporter;
	uint64_t interval_ms;
	uint64_t looked_ms;      /* what comes in now was counted since then */
	uint64_t next_ms;        /* when it is told again that it goes on */
	size_t count;
	struct message *bucket[BUCKETS];
	struct message beyond;   /* calls of messages that there was no room for */
	unsigned folds;          /* told since the last lf_announcer_end_folds() */
	uint64_t more_folds, more_repeats;
};

static const char *const words[LF_OUTCOME_COUNT] = {
	[LF_MUTED] = "muted", [LF_SAMPLED] = "sampled out", [LF_LIMITED] = "rate limited",
};

int lf_announcer_new(struct lf_announcer **out, const struct lf_reporter *reporter, unsigned interval_s,
                     uint64_t now_ms, struct lf_error *err)
{
	struct lf_announcer *announcer = calloc(1, sizeof(*announcer));

	if (!announcer)
		return lf_fail(err, -ENOMEM, "there is no memory to tell what is not printed");
	announcer->reporter = *reporter;
	announcer->looked_ms = now_ms;
	lf_announcer_set_interval(announcer, interval_s);
	*out = announcer;
	return 0;
}

static void forget(struct lf_announcer *announcer, struct message **at)
{
	struct message *message = *at;

	*at = message->next;
	announcer->count--;
	free(message->name);
	free(message);
}

void lf_announcer_free(struct lf_announcer *announcer)
{
	if (!announcer)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (announcer->bucket[i])
			forget(announcer, &announcer->bucket[i]);
	free(announcer);
}

void lf_announcer_set_interval(struct lf_announcer *announcer, unsigned interval_s)
{
	announcer->interval_ms = (uint64_t)interval_s * 1000;
	announcer->next_ms = announcer->looked_ms + announcer->interval_ms;
}

/* ---- What a drain feeds ---- */

static bool is_same(const struct lf_announced *a, const struct lf_announced *b)
{
	return a->outcome == b->outcome && a->namespace_key == b->namespace_key &&
	       memcmp(a->id.bytes, b->id.bytes, LF_ID_BYTES) == 0;
}

static struct message **place_of(struct lf_announcer *announcer, const struct lf_announced *what)
{
	uint32_t start;

	memcpy(&start, what->id.bytes, sizeof(start));
	return &announcer->bucket[start % BUCKETS];
}

static struct message *find(struct lf_announcer *announcer, const struct lf_announced *what)
{
	struct message *message = *place_of(announcer, what);

	while (message && !is_same(&message->what, what))
		message = message->next;
	return message;
}

/* NULL where there is no room. */
static struct message *learn(struct lf_announcer *announcer, const struct lf_announced *what)
{
	struct message **place = place_of(announcer, what);
	struct message *message =
		announcer->count < LF_ANNOUNCE_MESSAGES ? calloc(1, sizeof(*message)) : NULL;

	if (!message)
		return NULL;
	message->what = *what;
	message->began_ms = announcer->looked_ms;
	message->next = *place;
	*place = message;
	announcer->count++;
	return message;
}

bool lf_announcer_add(struct lf_announcer *announcer, const struct lf_announced *what, uint64_t calls)
{
	struct message *message = find(announcer, what);

	if (!message)
		message = learn(announcer, what);
	if (!message)
		message = &announcer->beyond;
	message->calls += calls;
	message->all += calls;
	return !message->name && message != &announcer->beyond;
}

void lf_announcer_name(struct lf_announcer *announcer, const struct lf_announced *what,
                       struct lf_text template)
{
	struct message *message = find(announcer, what);
	char name[LF_EXCERPT_MAX];

	if (message && !message->name)
		message->name = strdup(lf_excerpt(template, name));
}

/* ---- Sentences ---- */

/* The time of a day that is not over yet; of another day with its date. */
static void put_time(char out[32], uint64_t ms, uint64_t now_ms)
{
	time_t seconds = (time_t)(ms / 1000);
	bool lately = now_ms - ms < UINT64_C(86400000);
	struct tm local;

	out[0] = '\0';
	if (localtime_r(&seconds, &local))
		(void)strftime(out, 32, lately ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &local);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

enum kind {
	BEGINS,
	GOES_ON,
	IS_OVER,
	AT_THE_END, /* of the agent */
};

static const struct {
	const char *how, *in_all;
} kinds[] = {
	[BEGINS] = { "", "" },
	[GOES_ON] = { "", "" },
	[IS_OVER] = { " no more", "in all " },
	[AT_THE_END] = { " until now", "in all " },
};

static uint64_t calls_of(const struct message *message, enum kind kind)
{
	return kind == IS_OVER || kind == AT_THE_END ? message->all : message->calls;
}

static void say(const struct lf_announcer *announcer, const struct message *message, enum kind kind)
{
	uint64_t calls = calls_of(message, kind);
	char hash[LF_HASH_CHARS + 1], since[32];

	lf_id_to_hex(&message->what.id, hash);
	put_time(since, kind == GOES_ON ? message->told_ms : message->began_ms, announcer->looked_ms);
	lf_say(&announcer->reporter, "%s%s: %.*s…  %s: %" PRIu64 " call%s %ssince %s",
	       words[message->what.outcome], kinds[kind].how, LF_SHORT_HASH_CHARS, hash,
	       message->name ? message->name : "", calls, plural(calls), kinds[kind].in_all, since);
}

static void say_more(const struct lf_announcer *announcer, size_t messages, uint64_t calls, enum kind kind)
{
	if (messages > 0)
		lf_say(&announcer->reporter, "and %zu more message%s%s: %" PRIu64 " call%s", messages,
		       plural(messages), kinds[kind].how, calls, plural(calls));
}

/* ---- Choosing ---- */

/* What is to be told of one kind: the first LF_ANNOUNCE_LINES have the most calls. */
struct chosen {
	enum kind kind;
	size_t count, more;
	uint64_t more_calls;
	struct message *message[LF_ANNOUNCE_LINES];
};

/* Keeps the heaviest, in order. */
static void choose(struct chosen *chosen, struct message *message)
{
	size_t at = chosen->count;

	if (chosen->count == LF_ANNOUNCE_LINES) {
		struct message *least = chosen->message[LF_ANNOUNCE_LINES - 1];
		bool is_less = calls_of(message, chosen->kind) <= calls_of(least, chosen->kind);

		chosen->more++;
		chosen->more_calls += calls_of(is_less ? message : least, chosen->kind);
		if (is_less)
			return;
		at--;
	} else {
		chosen->count++;
	}
	for (; at > 0 && calls_of(chosen->message[at - 1], chosen->kind) < calls_of(message, chosen->kind); at--)
		chosen->message[at] = chosen->message[at - 1];
	chosen->message[at] = message;
}

static void tell(const struct lf_announcer *announcer, const struct chosen *chosen)
{
	for (size_t i = 0; i < chosen->count; i++)
		say(announcer, chosen->message[i], chosen->kind);
	say_more(announcer, chosen->more, chosen->more_calls, chosen->kind);
}

/* All of which `is_one` says so are told, or counted among the rest. */
static void tell_all(struct lf_announcer *announcer, enum kind kind,
                     bool (*is_one)(const struct message *message))
{
	struct chosen chosen = { .kind = kind };

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct message *message = announcer->bucket[i]; message; message = message->next)
			if (is_one(message))
				choose(&chosen, message);
	tell(announcer, &chosen);
}

static bool has_begun(const struct message *message)
{
	return !message->told;
}

static bool goes_on(const struct message *message)
{
	return message->told && message->calls > 0;
}

static bool is_over(const struct message *message)
{
	return message->is_over;
}

static bool is_any(const struct message *message)
{
	(void)message;
	return true;
}

/* ---- Telling ---- */

static void take_as_told(struct lf_announcer *announcer, bool (*is_one)(const struct message *message))
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct message *message = announcer->bucket[i]; message; message = message->next)
			if (is_one(message)) {
				message->told = true;
				message->told_ms = announcer->looked_ms;
				message->calls = 0;
			}
}

static enum lf_outcome outcome_of(uint64_t rule)
{
	static const enum lf_outcome outcomes[] = { [LF_RULE_MUTE] = LF_MUTED,
		                                    [LF_RULE_SAMPLE] = LF_SAMPLED,
		                                    [LF_RULE_LIMIT] = LF_LIMITED };
	enum lf_rule_kind kind = lf_rule_kind(rule);

	return kind < sizeof(outcomes) / sizeof(*outcomes) ? outcomes[kind] : LF_PASSED;
}

static bool is_in_force(const struct lf_flags *flags, const struct lf_announced *what)
{
	uint32_t generation;
	uint64_t rule;

	return lf_flags_look_up(flags, &what->id, what->namespace_key, &generation, &rule) < 0 ||
	       outcome_of(rule) == what->outcome;
}

/* What was over at the last look and still is: all that it left out has come in, and it is told. */
static void tell_what_is_over(struct lf_announcer *announcer, const struct lf_flags *flags)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct message *message = announcer->bucket[i]; message; message = message->next)
			message->is_over = message->is_over && !is_in_force(flags, &message->what);
	tell_all(announcer, IS_OVER, is_over);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct message **at = &announcer->bucket[i]; *at;) {
			if ((*at)->is_over) {
				forget(announcer, at);
				continue;
			}
			(*at)->is_over = !is_in_force(flags, &(*at)->what);
			at = &(*at)->next;
		}
}

static void tell_beyond(struct lf_announcer *announcer)
{
	struct message *beyond = &announcer->beyond;

	if (beyond->calls > 0)
		lf_say(&announcer->reporter, "not printed: %" PRIu64 " call%s of messages beyond %d",
		       beyond->calls, plural(beyond->calls), (int)LF_ANNOUNCE_MESSAGES);
	beyond->calls = 0;
}

static void tell_what_goes_on(struct lf_announcer *announcer)
{
	/* The wall clock may have been set back: nobody waits longer than he was told to. */
	if (announcer->next_ms > announcer->looked_ms + announcer->interval_ms)
		announcer->next_ms = announcer->looked_ms + announcer->interval_ms;
	if (!announcer->interval_ms || announcer->looked_ms < announcer->next_ms)
		return;
	tell_all(announcer, GOES_ON, goes_on);
	take_as_told(announcer, goes_on);
	tell_beyond(announcer);
	announcer->next_ms = announcer->looked_ms + announcer->interval_ms;
}

void lf_announcer_look(struct lf_announcer *announcer, const struct lf_flags *flags, uint64_t now_ms)
{
	announcer->looked_ms = now_ms;
	if (announcer->count == 0 && announcer->beyond.calls == 0)
		return;
	tell_all(announcer, BEGINS, has_begun);
	take_as_told(announcer, has_begun);
	tell_what_goes_on(announcer);
	if (flags)
		tell_what_is_over(announcer, flags);
}

void lf_announcer_end(struct lf_announcer *announcer)
{
	tell_all(announcer, AT_THE_END, is_any);
	tell_beyond(announcer);
}

/* ---- Folds ---- */

void lf_announcer_fold(struct lf_announcer *announcer, const struct lf_id *id, struct lf_text template,
                       uint32_t repeats, uint32_t over_ms)
{
	char hash[LF_HASH_CHARS + 1], name[LF_EXCERPT_MAX], sentence[LF_REPEATS_MAX];
	size_t len;

	if (announcer->folds == LF_ANNOUNCE_LINES) {
		announcer->more_folds++;
		announcer->more_repeats += repeats;
		return;
	}
	announcer->folds++;
	lf_id_to_hex(id, hash);
	(void)lf_excerpt(template, name);
	len = lf_repeats_tell((struct lf_text){ name, strlen(name) }, repeats, over_ms, sentence);
	lf_say(&announcer->reporter, "folded: %.*s…  %.*s", LF_SHORT_HASH_CHARS, hash, (int)len - 1,
	       sentence);
}

void lf_announcer_end_folds(struct lf_announcer *announcer)
{
	if (announcer->more_folds > 0)
		lf_say(&announcer->reporter, "and %" PRIu64 " more message%s, repeated %" PRIu64 " time%s",
		       announcer->more_folds, plural(announcer->more_folds), announcer->more_repeats,
		       plural(announcer->more_repeats));
	announcer->folds = 0;
	announcer->more_folds = announcer->more_repeats = 0;
}
