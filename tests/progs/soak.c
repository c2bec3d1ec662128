/* Prints at random until its stdin ends: soak SEED LEDGER LIBRARY
 *
 * Three threads print, one more loads LIBRARY (tests/integration/soak.py), calls it and unloads it, and a
 * child is forked now and then, which prints, too.  The ledger (ledger.h) has
 * KINDS rows, in the order below.
 */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "ledger.h"

enum { ALPHA, BETA, GAMMA, DELTA, ETA, THETA, IOTA, KINDS, PRINTED = IOTA, THREADS = 3, BURST = 64 };
static struct row *ledger;
static _Atomic int over;
static const char *library;

static void say(unsigned kind, unsigned number)
{
	atomic_fetch_add(&ledger[kind].begun, 1);
	switch (kind) {
	case ALPHA: (void)printf("alpha %u of %s\n", number, "many"); break;
	case BETA: (void)puts("beta is constant"); break;
	case GAMMA: (void)fprintf(stdout, "%s %d\n", "gamma", (int)number); break;
	case DELTA: say_text(number); break;
	case ETA: say_pieces(number); break;
	default: (void)dprintf(2, "theta\n"); break;
	}
	atomic_fetch_add(&ledger[kind].done, 1);
}

static void say_some(uint64_t *state)
{
	for (int i = 0; i < BURST; i++)
		say(draw(state, PRINTED), draw(state, 1000));
}

static void *print(void *state)
{
	while (!atomic_load(&over)) {
		say_some(state);
		(void)usleep(5000 + draw(state, 10000));
	}
	return NULL;
}

static void *load(void *state)
{
	enum { CALLS_OF_ONE = 5 }; /* say_iota() makes so many */

	while (!atomic_load(&over)) {
		void *module = dlopen(library, RTLD_NOW);
		void (*function)(int, const char *) =
			module ? (void (*)(int, const char *))dlsym(module, "say_iota") : NULL;

		if (!function)
			abort();
		for (int i = 0; i < 3; i++) {
			atomic_fetch_add(&ledger[IOTA].begun, CALLS_OF_ONE);
			function(i, "iota once more\n");
			atomic_fetch_add(&ledger[IOTA].done, CALLS_OF_ONE);
		}
		(void)dlclose(module);
		(void)usleep(20000 + draw(state, 20000));
	}
	return NULL;
}

static void fork_one(uint64_t *state)
{
	if (fork() == 0) {
		say_some(state);
		(void)fflush(stdout);
		_exit(0);
	}
	(void)wait(NULL);
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS + 1];
	uint64_t states[THREADS + 2];

	if (argc != 4 || !(ledger = map_ledger(argv[2], KINDS)))
		return 64;
	library = argv[3];
	for (unsigned i = 0; i < THREADS + 2; i++)
		states[i] = strtoul(argv[1], NULL, 10) * 1000003u + i;
	for (int i = 0; i <= THREADS; i++)
		if (pthread_create(&thread[i], NULL, i < THREADS ? print : load, &states[i]))
			abort();
	while (poll(&(struct pollfd){ .fd = 0, .events = POLLIN }, 1, 1000) == 0)
		fork_one(&states[THREADS + 1]);
	atomic_store(&over, 1);
	for (int i = 0; i <= THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	return 0;
}
