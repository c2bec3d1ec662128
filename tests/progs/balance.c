/* Prints at random, by a seed: balance SEED LEDGER
 *
 * The ledger (ledger.h) has KINDS rows.  stdout takes what goes through stdio, stderr what goes past it,
 * so that neither cuts the other's lines.
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#include "ledger.h"

enum { KINDS = 8, THREADS_MAX = 4 };
static struct row *ledger;
static unsigned long seed;
static unsigned calls;

static void begin(unsigned kind, unsigned n)
{
	atomic_fetch_add(&ledger[kind].begun, n);
}

static void end(unsigned kind, unsigned n)
{
	atomic_fetch_add(&ledger[kind].done, n);
}

/* Three lines of two kinds in one call. */
static void say_lines(unsigned number)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "epsilon %u\nzeta came\nepsilon %u\n", number, number + 1);

	begin(5, 1);
	if (write(2, text, (size_t)len) != len)
		abort();
	end(5, 1);
}

static void say(unsigned kind, unsigned number)
{
	switch (kind) {
	case 0: (void)printf("alpha %u of %s\n", number, "many"); break;
	case 1: (void)puts("beta is constant"); break;
	case 2: (void)fprintf(stdout, "%s %d\n", "gamma", (int)number); break;
	case 3: say_text(number); break;
	case 4: say_lines(number); break;
	case 6: say_pieces(number); break;
	case 7: (void)dprintf(2, "theta\n"); break;
	}
}

static void *work(void *arg)
{
	uint64_t state = seed * 1000003u + (uintptr_t)arg;

	for (unsigned i = 0; i < calls; i++) {
		unsigned kind = draw(&state, KINDS), n = kind == 4 ? 2 : 1;

		if (kind == 5)
			continue;
		begin(kind, n);
		say(kind, draw(&state, 1000));
		end(kind, n);
		if (draw(&state, 64) == 0)
			usleep(draw(&state, 300));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS_MAX];
	unsigned threads;

	if (argc != 3 || !(ledger = map_ledger(argv[2], KINDS)))
		return 64;
	seed = strtoul(argv[1], NULL, 10);
	threads = 1 + (unsigned)(seed % THREADS_MAX);
	calls = 1200 / threads;
	/* A child that prints, too, in a third of the runs; two buffers must not cut each other's lines. */
	if (seed % 3 == 0)
		(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (seed % 3 == 0 && fork() == 0) {
		seed += 7;
		work(NULL);
		return fflush(stdout);
	}
	for (uintptr_t i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, work, (void *)i);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	while (wait(NULL) > 0)
		;
	return 0;
}
