/* sides: a hybrid's two hashes, by themselves and between whole engines. */
#include "net/sides.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/addrbook.h"
#include "net/handshake.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_world.h"

enum { PIECES = 6, PIECE = 64 << 10, TOTAL = PIECES * PIECE - 777 };

static const unsigned NODE0[] = {0};

/* ---- the pure part ---- */

static struct torrent_id id_of(bool has_v1, bool has_v2)
{
	struct torrent_id id = {0};

	id.v1.len = has_v1 ? HASH_SHA1_BYTES : 0;
	id.v2.len = has_v2 ? HASH_SHA256_BYTES : 0;
	memset(id.v1.bytes, 0x11, id.v1.len);
	memset(id.v2.bytes, 0x22, id.v2.len);
	return id;
}

static struct handshake says(uint8_t byte, bool has_v2)
{
	struct handshake hs = {.has_v2 = has_v2};

	memset(hs.info_hash, byte, sizeof(hs.info_hash));
	return hs;
}

/* The bit goes with v1's hash of a torrent whose v2 hash is known. */
static void we_say_what_we_know(void **state)
{
	struct torrent_id both = id_of(true, true), one = id_of(true, false),
			  two = id_of(false, true);
	struct handshake hs = {0};

	(void)state;
	sides_say(&both, TORRENT_V1, &hs);
	assert_int_equal(hs.info_hash[19], 0x11);
	assert_true(hs.has_v2);
	sides_say(&both, TORRENT_V2, &hs);
	assert_int_equal(hs.info_hash[0], 0x22);
	assert_false(hs.has_v2);
	sides_say(&one, TORRENT_V1, &hs);
	assert_false(hs.has_v2);
	assert_int_equal(sides_choose(&both, TORRENT_V2), TORRENT_V2);
	assert_int_equal(sides_choose(&one, TORRENT_V2), TORRENT_V1);
	assert_int_equal(sides_choose(&two, TORRENT_V1), TORRENT_V2);
}

/* Who offers v2 gets it where there is one; nobody else does. */
static void strangers_are_upgraded(void **state)
{
	struct torrent_id both = id_of(true, true), one = id_of(true, false),
			  two = id_of(false, true);
	const struct {
		const struct torrent_id *id;
		uint8_t said;
		bool has_bit, is_ours;
		enum torrent_side side;
	} rows[] = {
		{&both, 0x11, false, true, TORRENT_V1},
		{&both, 0x11, true, true, TORRENT_V2},
		{&both, 0x22, false, true, TORRENT_V2},
		{&both, 0x33, true, false, TORRENT_V1},
		{&one, 0x11, true, true, TORRENT_V1},
		{&one, 0x22, true, false, TORRENT_V1},
		{&two, 0x22, false, true, TORRENT_V2},
		{&two, 0x11, false, false, TORRENT_V1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct handshake hs = says(rows[i].said, rows[i].has_bit);
		enum torrent_side side = TORRENT_V1;

		assert_int_equal(sides_answer(rows[i].id, &hs, &side),
				 rows[i].is_ours);
		if (rows[i].is_ours)
			assert_int_equal(side, rows[i].side);
	}
}

/* Answers go up, never down. */
static void answers_are_settled(void **state)
{
	struct torrent_id both = id_of(true, true);
	struct handshake one = says(0x11, true), two = says(0x22, false),
			 none = says(0x33, true);
	enum torrent_side side;

	(void)state;
	assert_true(sides_settle(&both, TORRENT_V1, &one, &side));
	assert_int_equal(side, TORRENT_V1);
	assert_true(sides_settle(&both, TORRENT_V1, &two, &side));
	assert_int_equal(side, TORRENT_V2);
	assert_true(sides_settle(&both, TORRENT_V2, &two, &side));
	assert_int_equal(side, TORRENT_V2);
	assert_false(sides_settle(&both, TORRENT_V2, &one, &side));
	assert_false(sides_settle(&both, TORRENT_V1, &none, &side));
}

/* ---- engines ---- */

static void make(struct world *w, enum world_kind kind)
{
	w->kind = kind;
	world_torrent(w, PIECES, PIECE, TOTAL);
	node_seed(w, 0, HOLDS_ALL);
}

static struct torrent *add_link(struct node *n, const char *link)
{
	struct engine_source src = {0};
	struct torrent *t;
	struct mi_error err;

	assert_int_equal(magnet_parse(link, &src.magnet, &err), 0);
	assert_int_equal(engine_add(n->engine, src, &t), 0);
	return t;
}

/* A magnet of the hashes that are asked for. */
static struct torrent *add_magnet(struct node *n, bool by_v1, bool by_v2)
{
	struct metainfo *mi = world_metainfo(n->w);
	struct torrent_id id = {0};
	struct torrent *t;
	char *link;

	if (by_v1)
		id.v1 = mi->id.v1;
	if (by_v2)
		id.v2 = mi->id.v2;
	link = magnet_format(&id, NULL, NULL, 0, NULL, 0);
	t = add_link(n, link);
	mem_free(link);
	metainfo_free(mi);
	return t;
}

static struct peer *only_peer(const struct node *n)
{
	struct peer *p = TAILQ_FIRST(&n->t->swarm->peers);

	assert_non_null(p);
	assert_null(TAILQ_NEXT(p, link));
	return p;
}

/* A torrent of v2 alone, from one engine to another. */
static void v2_alone_is_read(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	make(w, WORLD_V2);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	node_add(n);
	node_read(n, 0, TOTAL - PIECE); /* two seeds would part */
	assert_int_equal(only_peer(n)->side, TORRENT_V2);
	assert_int_equal(only_peer(&w->nodes[0])->side, TORRENT_V2);
	node_read(n, 0, TOTAL);
	assert_int_equal(node_view(n).held_bytes, node_view(n).size_bytes);
}

/* Two who know both hashes meet by v1's and are on v2's side. */
static void hybrids_upgrade(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	make(w, WORLD_HYBRID);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	node_add(n);
	node_read(n, 0, TOTAL - PIECE);
	assert_int_equal(only_peer(n)->side, TORRENT_V2);
	assert_int_equal(only_peer(&w->nodes[0])->side, TORRENT_V2);
}

static bool is_of_v2(void *arg)
{
	const struct node *n = arg;
	const struct peer *p = TAILQ_FIRST(&n->t->swarm->peers);

	return p != NULL && p->is_up && p->side == TORRENT_V2;
}

static void read_by_magnet(struct world *w, bool by_v1, bool by_v2)
{
	struct node *n = &w->nodes[1];
	struct torrent_id id;
	struct info_hash cut = {.len = HASH_SHA1_BYTES};

	make(w, WORLD_HYBRID);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	n->t = add_magnet(n, by_v1, by_v2);
	world_run(w, node_is_ready, n);
	assert_true(n->is_ready);
	world_run(w, is_of_v2, n);
	(void)only_peer(n);
	id = w->nodes[0].t->id;
	assert_ptr_equal(engine_find(n->engine, &id.v1), n->t);
	assert_ptr_equal(engine_find(n->engine, &id.v2), n->t);
	memcpy(cut.bytes, id.v2.bytes, cut.len);
	assert_ptr_equal(engine_find(n->engine, &cut), n->t);
	node_read(n, 0, TOTAL);
}

/* A magnet of one hash learns the other with the metadata, and whoever knows
 * v2 is met on its side from then on. */
static void magnets_of_v1_learn_v2(void **state)
{
	read_by_magnet(*state, true, false);
}

static void magnets_of_v2_learn_v1(void **state)
{
	read_by_magnet(*state, false, true);
}

static void magnets_of_both_are_upgraded(void **state)
{
	read_by_magnet(*state, true, true);
}

/* Of several one stays for who reads, and follows when another is there; they
 * are dialled twice each, and not more. */
static bool are_all_of_v2(void *arg)
{
	const struct node *n = arg;
	const struct peer *p;
	unsigned n_v2 = 0;

	TAILQ_FOREACH (p, &n->t->swarm->peers, link)
		n_v2 += p->is_up && p->side == TORRENT_V2;
	return n_v2 == 3;
}

static void one_stays_and_follows(void **state)
{
	static const unsigned all[] = {0, 2, 3};
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	make(w, WORLD_HYBRID);
	node_seed(w, 2, HOLDS_ALL);
	node_seed(w, 3, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, all, 3, false);
	n->t = add_magnet(n, true, false);
	world_run(w, node_is_ready, n);
	world_run(w, are_all_of_v2, n);
	node_read(n, 0, TOTAL);
}

/* An info dictionary that has the v1 hash and not the v2 one is not believed:
 * the peer that sent it whole is gone, and the magnet waits. */
static bool has_lost_its_peer(void *arg)
{
	const struct node *n = arg;

	return node_view((struct node *)n).peers == 0 &&
	       addrbook_next_us(n->t->swarm->book) == UINT64_MAX;
}

static void both_hashes_must_be_right(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct metainfo *mi;
	char *link;

	make(w, WORLD_HYBRID);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	mi = world_metainfo(w);
	mi->id.v2.bytes[31] ^= 1; /* the 20 bytes of the wire stay right */
	link = magnet_format(&mi->id, NULL, NULL, 0, NULL, 0);
	n->t = add_link(n, link);
	mem_free(link);
	metainfo_free(mi);
	world_run(w, has_lost_its_peer, n);
	assert_int_equal(torrent_state(n->t), TORRENT_META);
}

/* Two magnets of one hash each turn out to be one torrent, which is then found
 * by both. */
static bool has_settled(void *arg)
{
	const struct node *n = arg;

	return n->is_ready && n->has_failed;
}

static void halves_are_one(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct torrent *other;
	struct torrent_id id;

	make(w, WORLD_HYBRID);
	node_start(w, 1, HOLDS_NONE, NULL, 0, false);
	n->t = add_magnet(n, true, false);
	other = add_magnet(n, false, true);
	assert_ptr_not_equal(other, n->t);
	node_meet(n, &w->nodes[0]);
	world_run(w, has_settled, n);
	id = w->nodes[0].t->id;
	assert_int_equal(torrent_state(other), TORRENT_FAILED);
	assert_string_equal(torrent_why(other),
			    "it is the same torrent as content.bin");
	assert_ptr_equal(engine_find(n->engine, &id.v1), n->t);
	assert_ptr_equal(engine_find(n->engine, &id.v2), n->t);
	node_read(n, 0, TOTAL);
}

/* ---- an engine and a bare socket ---- */

struct caller {
	struct world *w;
	int fd;
	struct handshake got;
	bool is_answered, is_closed;
	struct buf in;
	struct loop_io *io;
};

static void caller_on_io(void *arg, int fd, unsigned events)
{
	struct caller *c = arg;
	uint8_t bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	(void)events;
	if (n <= 0) {
		c->is_closed = true;
		(void)loop_io_want(c->io, 0);
		return;
	}
	buf_add(&c->in, bytes, (size_t)n);
	if (!c->is_answered && c->in.len >= HANDSHAKE_BYTES) {
		assert_int_equal(handshake_decode(c->in.data, &c->got), 0);
		c->is_answered = true;
	}
}

static bool is_answered(void *arg)
{
	const struct caller *c = arg;

	return c->is_answered || c->is_closed;
}

static bool is_closed(void *arg)
{
	return ((const struct caller *)arg)->is_closed;
}

static void call(struct caller *c, struct world *w, const uint8_t *hash,
		 bool has_v2)
{
	struct handshake hs = {.has_fast = true, .has_v2 = has_v2};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	uint8_t bytes[HANDSHAKE_BYTES];

	*c = (struct caller){.w = w};
	memcpy(hs.info_hash, hash, sizeof(hs.info_hash));
	memset(hs.peer_id, 'C', sizeof(hs.peer_id));
	handshake_encode(&hs, bytes);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(engine_port(w->nodes[0].engine));
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c->fd, (void *)&sin, sizeof(sin)), 0);
	assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(loop_io_new(w->loop, c->fd, caller_on_io, c, &c->io),
			 0);
	assert_int_equal(loop_io_want(c->io, LOOP_READ), 0);
	assert_int_equal(send(c->fd, bytes, sizeof(bytes), MSG_NOSIGNAL),
			 sizeof(bytes));
	world_run(w, is_answered, c);
}

static void hang_off(struct caller *c)
{
	loop_io_free(c->io);
	(void)close(c->fd);
	buf_fini(&c->in);
}

/* Strangers are found by either hash, and answered with theirs or v2's. */
static void callers_are_answered(void **state)
{
	struct world *w = *state;
	const struct torrent_id *id;
	struct caller c;

	make(w, WORLD_HYBRID);
	id = &w->nodes[0].t->id;
	call(&c, w, id->v1.bytes, false);
	assert_memory_equal(c.got.info_hash, id->v1.bytes, 20);
	assert_true(c.got.has_v2);
	hang_off(&c);
	call(&c, w, id->v1.bytes, true);
	assert_memory_equal(c.got.info_hash, id->v2.bytes, 20);
	hang_off(&c);
	call(&c, w, id->v2.bytes, false);
	assert_memory_equal(c.got.info_hash, id->v2.bytes, 20);
	hang_off(&c);
	call(&c, w, id->v2.bytes + 1, true);
	assert_true(c.is_closed);
	hang_off(&c);
}

/* One peer that comes by both hashes is one peer. */
static void one_peer_by_two_hashes(void **state)
{
	struct world *w = *state;
	const struct torrent_id *id;
	struct caller one, two;

	make(w, WORLD_HYBRID);
	id = &w->nodes[0].t->id;
	call(&one, w, id->v1.bytes, false);
	assert_true(one.is_answered);
	call(&two, w, id->v2.bytes, false);
	world_run(w, is_closed, &two);
	assert_false(two.is_answered);
	assert_false(one.is_closed);
	assert_int_equal(node_view(&w->nodes[0]).peers, 1);
	hang_off(&one);
	hang_off(&two);
}

/* One who sets the bit, and answers with v1's all the same, stays on v1's side
 * and is not dialled again. */
struct stubborn {
	struct world *w;
	int listen_fd, fd;
	struct loop_io *listen_io, *io;
	uint8_t v1[TORRENT_WIRE_BYTES];
	unsigned n;
	bool has_bit; /* in what it heard last */
};

static void stubborn_on_io(void *arg, int fd, unsigned events)
{
	struct stubborn *s = arg;
	struct handshake hs = {.has_fast = true, .has_v2 = true};
	uint8_t bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	(void)events;
	if (n < HANDSHAKE_BYTES) {
		if (n <= 0)
			(void)loop_io_want(s->io, 0);
		return;
	}
	if (bytes[0] != 19)
		return; /* what comes later */
	assert_int_equal(handshake_decode(bytes, &hs), 0);
	s->has_bit = hs.has_v2;
	memcpy(hs.info_hash, s->v1, sizeof(s->v1));
	memset(hs.peer_id, 'S', sizeof(hs.peer_id));
	hs.has_v2 = true;
	handshake_encode(&hs, bytes);
	(void)send(fd, bytes, HANDSHAKE_BYTES, MSG_NOSIGNAL);
}

static void stubborn_on_accept(void *arg, int fd, unsigned events)
{
	struct stubborn *s = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	s->n++;
	if (s->io != NULL) {
		(void)close(s->fd);
		loop_io_free(s->io);
	}
	s->fd = peer;
	assert_int_equal(
		loop_io_new(s->w->loop, peer, stubborn_on_io, s, &s->io), 0);
	assert_int_equal(loop_io_want(s->io, LOOP_READ), 0);
}

static bool has_two(void *arg)
{
	const struct node *n = arg;
	const struct peer *p;
	unsigned n_up = 0;

	TAILQ_FOREACH (p, &n->t->swarm->peers, link)
		n_up += p->is_up;
	return n_up == 2;
}

static uint16_t stubborn_listen(struct stubborn *s)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);

	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(s->listen_fd, (void *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(s->listen_fd, 4), 0);
	assert_int_equal(getsockname(s->listen_fd, (void *)&sin, &len), 0);
	assert_int_equal(loop_io_new(s->w->loop, s->listen_fd,
				     stubborn_on_accept, s, &s->listen_io),
			 0);
	assert_int_equal(loop_io_want(s->listen_io, LOOP_READ), 0);
	return ntohs(sin.sin_port);
}

static void the_stubborn_are_left_alone(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct stubborn s = {.w = w};
	unsigned all[] = {2, 0};

	make(w, WORLD_HYBRID);
	memcpy(s.v1, w->nodes[0].t->id.v1.bytes, sizeof(s.v1));
	w->nodes[2].rogue_port = stubborn_listen(&s);
	node_start(w, 1, HOLDS_NONE, all, 1, false);
	n->t = add_magnet(n, true, false);
	node_meet(n, &w->nodes[0]);
	world_run(w, node_is_ready, n);
	world_run(w, has_two, n);
	node_read(n, 0, TOTAL);
	assert_int_equal(s.n, 2);
	assert_true(s.has_bit);
	loop_io_free(s.listen_io);
	(void)close(s.listen_fd);
	(void)close(s.fd);
	loop_io_free(s.io);
}

/* Who knows only v2's hash hangs up on v1's, and is dialled again by his. */
struct fussy {
	struct world *w;
	int listen_fd;
	int fd; /* who is there now */
	struct loop_io *listen_io, *io;
	struct handshake heard[2];
	unsigned n;
};

static void fussy_on_io(void *arg, int fd, unsigned events)
{
	struct fussy *f = arg;
	uint8_t bytes[HANDSHAKE_BYTES];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK);

	(void)events;
	if (n > 0 && n < HANDSHAKE_BYTES)
		return;
	assert_int_equal(n, HANDSHAKE_BYTES);
	if (f->n < 2)
		assert_int_equal(handshake_decode(bytes, &f->heard[f->n]), 0);
	f->n++;
	loop_io_free(f->io);
	f->io = NULL;
	(void)close(fd);
}

static void fussy_on_accept(void *arg, int fd, unsigned events)
{
	struct fussy *f = arg;

	(void)events;
	assert_null(f->io);
	f->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(loop_io_new(f->w->loop, f->fd, fussy_on_io, f, &f->io),
			 0);
	assert_int_equal(loop_io_want(f->io, LOOP_READ), 0);
}

static bool heard_both(void *arg)
{
	return ((const struct fussy *)arg)->n >= 2;
}

static void who_hangs_up_hears_the_other(void **state)
{
	struct world *w = *state;
	struct fussy f = {.w = w};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);
	const struct torrent_id *id;
	struct addr a;

	make(w, WORLD_HYBRID);
	id = &w->nodes[0].t->id;
	f.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(f.listen_fd, (void *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(f.listen_fd, 4), 0);
	assert_int_equal(getsockname(f.listen_fd, (void *)&sin, &len), 0);
	assert_int_equal(loop_io_new(w->loop, f.listen_fd, fussy_on_accept, &f,
				     &f.listen_io),
			 0);
	assert_int_equal(loop_io_want(f.listen_io, LOOP_READ), 0);
	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	addr_set_port(&a, ntohs(sin.sin_port));
	assert_int_equal(swarm_add_told(w->nodes[0].t->swarm, &a, TORRENT_V1),
			 0);
	world_run(w, heard_both, &f);
	assert_memory_equal(f.heard[0].info_hash, id->v1.bytes, 20);
	assert_true(f.heard[0].has_v2);
	assert_memory_equal(f.heard[1].info_hash, id->v2.bytes, 20);
	assert_false(f.heard[1].has_v2);
	loop_io_free(f.listen_io);
	(void)close(f.listen_fd);
}

#define WORLD_TEST(f) \
	cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(we_say_what_we_know),
		cmocka_unit_test(strangers_are_upgraded),
		cmocka_unit_test(answers_are_settled),
		WORLD_TEST(v2_alone_is_read),
		WORLD_TEST(hybrids_upgrade),
		WORLD_TEST(magnets_of_v1_learn_v2),
		WORLD_TEST(magnets_of_v2_learn_v1),
		WORLD_TEST(magnets_of_both_are_upgraded),
		WORLD_TEST(one_stays_and_follows),
		WORLD_TEST(both_hashes_must_be_right),
		WORLD_TEST(halves_are_one),
		WORLD_TEST(callers_are_answered),
		WORLD_TEST(one_peer_by_two_hashes),
		WORLD_TEST(the_stubborn_are_left_alone),
		WORLD_TEST(who_hangs_up_hears_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
