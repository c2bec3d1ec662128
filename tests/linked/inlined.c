/* Linked calls between bytes that the program puts into the buffer of stdout itself, and a child that
 * flushes what it found there: inlined COUNT. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <logfold/logfold.h>

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 0;

	for (long i = 0; i < calls; i++) {
		lf_printf("linked %ld\n", i);
		(void)putchar_unlocked('x');
		(void)putchar_unlocked('\n');
		if (i % 3 == 0)
			printf("hooked %ld\n", i);
	}
	if (fork() == 0)
		return 0;
	(void)wait(NULL);
	return 0;
}
