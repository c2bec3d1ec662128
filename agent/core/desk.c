#include "agent/core/desk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct asked {
	struct lf_cached_job job; /* first */
	struct lf_desk *desk;
	enum lf_question question;
	struct lf_cached_state state;
	bool has_ticket; /* else a thread waits, as long as it is not `left` */
	struct lf_control_ticket ticket;
	/* Under the desk's lock. */
	bool done, left;
	char *text;
	size_t bytes;
	struct asked *next;
};

struct lf_desk {
	struct lf_desk_options options;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct asked *first, **last;
	bool shut;
};

/* Not in the main thread, if the cache may have to ask its tiers. */
static void look(struct lf_cached *cached, struct lf_cached_job *job)
{
	struct asked *asked = (struct asked *)job;
	struct lf_desk *desk = asked->desk;

	lf_cached_look(cached, &asked->state);
	(void)pthread_mutex_lock(&desk->lock);
	asked->next = NULL;
	*desk->last = asked;
	desk->last = &asked->next;
	(void)pthread_mutex_unlock(&desk->lock);
	desk->options.wake(desk->options.arg);
}

static struct asked *new_asked(struct lf_desk *desk, enum lf_question question, struct lf_error *err)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	if (!asked) {
		(void)lf_fail(err, -ENOMEM, "there is no memory for the answer");
		return NULL;
	}
	asked->job.work = look;
	asked->desk = desk;
	asked->question = question;
	return asked;
}

static void free_asked(struct asked *asked)
{
	free(asked->text);
	free(asked);
}

int lf_desk_ask_for(struct lf_desk *desk, struct lf_cached *cached, enum lf_question question,
                    struct lf_control_ticket ticket, struct lf_error *err)
{
	struct asked *asked = new_asked(desk, question, err);

	if (!asked)
		return -ENOMEM;
	asked->has_ticket = true;
	asked->ticket = ticket;
	/* While it is being opened its thread may wait for servers. */
	if (lf_cached_fleet(cached))
		lf_cached_put(cached, &asked->job);
	else
		look(cached, &asked->job);
	return 0;
}

/* ---- A thread that waits ---- */

static struct timespec deadline_of(int timeout_ms)
{
	struct timespec end = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	return end;
}

int lf_desk_ask(struct lf_desk *desk, struct lf_cached *cached, enum lf_question question, int timeout_ms, char **out,
                size_t *len, struct lf_error *err)
{
	struct asked *asked = new_asked(desk, question, err);
	struct timespec end = deadline_of(timeout_ms);
	int waited = 0;
	bool done;

	if (!asked)
		return -ENOMEM;
	look(cached, &asked->job);
	(void)pthread_mutex_lock(&desk->lock);
	while (!asked->done && !desk->shut && waited == 0)
		waited = pthread_cond_timedwait(&desk->answered, &desk->lock, &end);
	done = asked->done;
	asked->left = true; /* else who answers frees it */
	if (done) {
		*out = asked->text;
		*len = asked->bytes;
		asked->text = NULL;
	}
	(void)pthread_mutex_unlock(&desk->lock);
	if (!done)
		return lf_fail(err, waited ? -ETIMEDOUT : -ECANCELED, "the agent does not answer: try again");
	free_asked(asked);
	if (!*out)
		return lf_fail(err, -ENOMEM, "there is no memory for the answer");
	return 0;
}

/* ---- The main thread ---- */

static struct asked *next_asked(struct lf_desk *desk)
{
	struct asked *asked;

	(void)pthread_mutex_lock(&desk->lock);
	asked = desk->first;
	if (asked) {
		desk->first = asked->next;
		if (!desk->first)
			desk->last = &desk->first;
	}
	(void)pthread_mutex_unlock(&desk->lock);
	return asked;
}

static void write_answer(struct lf_desk *desk, struct asked *asked)
{
	FILE *out = open_memstream(&asked->text, &asked->bytes);

	if (!out)
		return;
	desk->options.write(desk->options.arg, asked->question, &asked->state, out);
	if (fclose(out) == 0)
		return;
	free(asked->text);
	asked->text = NULL;
}

static void hand_over(struct lf_desk *desk, struct asked *asked)
{
	bool left;

	(void)pthread_mutex_lock(&desk->lock);
	left = asked->left;
	asked->done = true;
	(void)pthread_cond_broadcast(&desk->answered);
	(void)pthread_mutex_unlock(&desk->lock);
	if (left)
		free_asked(asked);
}

void lf_desk_serve(struct lf_desk *desk)
{
	struct asked *asked;

	while ((asked = next_asked(desk))) {
		write_answer(desk, asked);
		if (!asked->has_ticket) {
			hand_over(desk, asked);
			continue;
		}
		if (asked->text)
			desk->options.reply(desk->options.arg, asked->ticket, asked->text, asked->bytes);
		free_asked(asked);
	}
}

/* ---- Life cycle ---- */

void lf_desk_shut(struct lf_desk *desk, bool shut)
{
	(void)pthread_mutex_lock(&desk->lock);
	desk->shut = shut;
	(void)pthread_cond_broadcast(&desk->answered);
	(void)pthread_mutex_unlock(&desk->lock);
}

int lf_desk_new(struct lf_desk **out, const struct lf_desk_options *options, struct lf_error *err)
{
	struct lf_desk *desk = calloc(1, sizeof(*desk));
	pthread_condattr_t clock;

	if (!desk)
		return lf_fail(err, -ENOMEM, "there is no memory for the agent");
	desk->options = *options;
	desk->last = &desk->first;
	(void)pthread_mutex_init(&desk->lock, NULL);
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&desk->answered, &clock);
	(void)pthread_condattr_destroy(&clock);
	*out = desk;
	return 0;
}

void lf_desk_free(struct lf_desk *desk)
{
	struct asked *asked;

	if (!desk)
		return;
	while ((asked = next_asked(desk)))
		free_asked(asked);
	(void)pthread_cond_destroy(&desk->answered);
	(void)pthread_mutex_destroy(&desk->lock);
	free(desk);
}
