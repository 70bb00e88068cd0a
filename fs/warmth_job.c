/* warmth_job — metadata that was read becomes a tree: parsed, its names sorted.
 * What comes of it is immutable, and the loop's from `done` on. */
#include "fs/warmth_job.h"

#include <stdio.h>

#include "core/err.h"
#include "core/mem.h"
#include "fs/inode.h"
#include "fs/tree.h"

void warmth_parse(struct warmth_parse *p, struct hasher *hasher)
{
	p->tree = NULL;
	p->err = p->mi != NULL ? 0
			       : metainfo_make(&p->bytes, p->len, hasher,
					       &p->mi, &p->why);
	if (p->err == 0 && p->base != 0 && inode_base(&p->mi->id) != p->base) {
		p->err = EBADMSG;
		(void)snprintf(p->why.text, sizeof(p->why.text),
			       "it is another torrent's");
	}
	if (p->err == 0) {
		p->err = tree_new(p->mi, &p->tree);
		if (p->err == E2BIG)
			(void)snprintf(p->why.text, sizeof(p->why.text),
				       "it has too many files");
	}
	if (p->err == 0 || p->mi == NULL)
		return;
	p->bytes = metainfo_unmake(p->mi);
	p->mi = NULL;
}

void warmth_job_parse(struct job *job, struct worker_env *env)
{
	ASSERT_WORKER();
	warmth_parse(CONTAINER_OF(job, struct warmth_parse, job), env->hasher);
}

void warmth_parse_fini(struct warmth_parse *p)
{
	tree_free(p->tree);
	metainfo_free(p->mi);
	mem_free(p->bytes);
	p->tree = NULL;
	p->mi = NULL;
	p->bytes = NULL;
}
