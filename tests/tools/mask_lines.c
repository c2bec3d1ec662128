/* Masks the lines of stdin.  For tests that compare lf_mask() with another implementation.
 *
 * usage: mask_lines [-0]     with -0 the lines end in NUL, in and out, so that they may hold LF
 *        mask_lines -a       with -a a line is masked by what lf_mask_alike() makes of it, where it does; it
 *                            then says on stderr of how many
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/mask.h"

int main(int argc, char **argv)
{
	int delimiter = argc > 1 && strcmp(argv[1], "-0") == 0 ? '\0' : '\n';
	bool alike = argc > 1 && strcmp(argv[1], "-a") == 0;
	char out[LF_TEMPLATE_MAX], zeros[LF_MASK_ALIKE_MAX];
	unsigned long known = 0;
	char *line = NULL;
	size_t size = 0, len;
	ssize_t got;
	uint64_t hash;

	while ((got = getdelim(&line, &size, delimiter, stdin)) > 0) {
		len = (size_t)got - (line[got - 1] == delimiter);
		if (alike && lf_mask_alike((struct lf_text){ line, len }, zeros, &hash)) {
			known++;
			len = lf_mask((struct lf_text){ zeros, len }, out, &hash);
		} else {
			len = lf_mask((struct lf_text){ line, len }, out, &hash);
		}
		(void)fwrite(out, 1, len, stdout);
		(void)putchar(delimiter);
	}
	free(line);
	if (alike)
		(void)fprintf(stderr, "%lu\n", known);
	return ferror(stdin) || fflush(stdout) != 0;
}
