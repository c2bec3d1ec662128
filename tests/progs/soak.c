/* Prints at random until its stdin ends: soak SEED LEDGER LIBRARY
 *
 * Three threads print, one more loads LIBRARY (tests/integration/soak.py), calls it and unloads it, and a
 * child is forked now and then, which prints, too.  The ledger says what was begun and what is done, as
 * that of balance.c does: struct row[KINDS], in the order of the kinds below.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALPHA, BETA, GAMMA, DELTA, ETA, THETA, IOTA, KINDS, PRINTED = IOTA, THREADS = 3, BURST = 64 };
struct row {
	_Atomic uint64_t begun, done;
};
static struct row *ledger;
static _Atomic int over;
static const char *library;

static unsigned draw(uint64_t *state, unsigned below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*state >> 33) % below;
}

static void say_delta(unsigned number)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "delta saw %u of them\n", number);
	(void)fputs(text, stdout);
}

static void say_eta(unsigned number)
{
	char text[64];
	struct iovec pieces[2] = { { (char[]){ "eta " }, 4 }, { text, 0 } };

	pieces[1].iov_len = (size_t)snprintf(text, sizeof(text), "%u\n", number);
	if (writev(2, pieces, 2) != (ssize_t)(4 + pieces[1].iov_len))
		abort();
}

static void say(unsigned kind, unsigned number)
{
	atomic_fetch_add(&ledger[kind].begun, 1);
	switch (kind) {
	case ALPHA: (void)printf("alpha %u of %s\n", number, "many"); break;
	case BETA: (void)puts("beta is constant"); break;
	case GAMMA: (void)fprintf(stdout, "%s %d\n", "gamma", (int)number); break;
	case DELTA: say_delta(number); break;
	case ETA: say_eta(number); break;
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
	int fd;

	if (argc != 4 || (fd = open(argv[2], O_RDWR)) < 0)
		return 64;
	ledger = mmap(NULL, KINDS * sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED)
		return 1;
	(void)close(fd);
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
