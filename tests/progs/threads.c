/* threads THREADS CALLS: each thread makes so many calls of printf, and a tenth as many of fputs
 * and of write with lines of its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long calls;

static void *work(void *number)
{
	char line[64], other[64];

	snprintf(line, sizeof(line), "%s puts a line\n", (const char *)number);
	snprintf(other, sizeof(other), "%s writes a line\n", (const char *)number);
	for (long i = 0; i < calls; i++) {
		printf("worker step %ld\n", i);
		if (i % 10 == 0) {
			fputs(line, stderr);
			if (write(1, other, strlen(other)) < 0)
				abort();
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static char *names[] = { "alpha", "beta", "gamma", "delta", "kappa", "omega", "sigma", "theta" };
	pthread_t threads[8];
	int count = argc > 2 ? atoi(argv[1]) : 0;

	calls = argc > 2 ? atol(argv[2]) : 0;
	for (int i = 0; i < count && i < 8; i++)
		if (pthread_create(&threads[i], NULL, work, names[i]))
			return 1;
	for (int i = 0; i < count && i < 8; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
