/* Doubly linked rings: a list is a ring with its own head in it, and what is in none is a ring of one. */
#ifndef LOGFOLD_SINKS_CACHE_LINKS_H
#define LOGFOLD_SINKS_CACHE_LINKS_H

#include <stdbool.h>
#include <stddef.h>

struct lf_links {
	struct lf_links *prev, *next;
};

/* The object that these links are a member of. */
#define LF_LINKED(type, member, links) ((type *)(void *)((char *)(links)-offsetof(type, member)))

static inline void lf_links_init(struct lf_links *links)
{
	links->prev = links->next = links;
}

static inline bool lf_links_empty(const struct lf_links *list)
{
	return list->next == list;
}

static inline void lf_links_put_first(struct lf_links *list, struct lf_links *one)
{
	one->prev = list;
	one->next = list->next;
	list->next->prev = one;
	list->next = one;
}

/* What was taken out may be taken out again. */
static inline void lf_links_take(struct lf_links *one)
{
	one->prev->next = one->next;
	one->next->prev = one->prev;
	lf_links_init(one);
}

/* All of `from` behind all of `list`; `from` is empty then. */
static inline void lf_links_move_all(struct lf_links *list, struct lf_links *from)
{
	if (lf_links_empty(from))
		return;
	from->next->prev = list->prev;
	list->prev->next = from->next;
	from->prev->next = list;
	list->prev = from->prev;
	lf_links_init(from);
}

#endif
