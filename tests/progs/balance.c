/* Prints at random, by a seed: balance SEED LEDGER
 *
 * The ledger, a file of struct row[KINDS], says for each kind of message how many were begun and how many
 * are done, whatever becomes of them: it lives on when the process is killed.  stdout takes what goes
 * through stdio, stderr what goes past it, so that neither cuts the other's lines.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS = 8, THREADS_MAX = 4 };
struct row {
	_Atomic uint64_t begun, done;
};
static struct row *ledger;
static unsigned long seed;
static unsigned calls;

static unsigned draw(uint64_t *state, unsigned below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*state >> 33) % below;
}

static void begin(unsigned kind, unsigned n)
{
	atomic_fetch_add(&ledger[kind].begun, n);
}

static void end(unsigned kind, unsigned n)
{
	atomic_fetch_add(&ledger[kind].done, n);
}

static void say_text(unsigned number)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "delta saw %u of them\n", number);
	(void)fputs(text, stdout);
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

static void say_pieces(unsigned number)
{
	char text[64];
	struct iovec pieces[2] = { { (char[]){ "eta " }, 4 }, { text, 0 } };

	pieces[1].iov_len = (size_t)snprintf(text, sizeof(text), "%u\n", number);
	if (writev(2, pieces, 2) != (ssize_t)(4 + pieces[1].iov_len))
		abort();
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
	int fd;

	if (argc != 3 || (fd = open(argv[2], O_RDWR)) < 0)
		return 64;
	ledger = mmap(NULL, KINDS * sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED)
		return 1;
	close(fd);
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
