/* SPDX-License-Identifier: MIT */
/* What the relay's name service answers and tells of, question by question. */
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "dns_wire.h"
#include "relay_state.h"
#include "tap.h"
#include "util.h"

#define TXT     16
#define BURST   256
#define OFFERED 512
#define AGES    1000000000

#define NO_TYPE  "this type of question is not answered"
#define NO_NAME  "the name is not allowed"
#define NO_HOST  "no port of the host is allowed"
#define NOT_HOST "not a host name"

static struct relay_state state;
static uint8_t answer[DNS_ANSWER_MAX];

struct row {
	const char *name;
	uint16_t type;
	int rcode;
	const char *rule, *reason, *remedy;
	const char *shown; /* NULL: as asked */
};

static const struct row strict[] = {
	{ "t.test", DNS_A, 0, "t.test:443", "", "", NULL },
	{ "t.test", DNS_AAAA, 0, "t.test:443", "", "", NULL },
	{ "t.test", TXT, 5, "t.test:443", NO_TYPE, "", NULL },
	{ "a.wild.test", DNS_HTTPS, 0, "*.wild.test:443", "", "", NULL },
	{ "evil.test", DNS_A, 5, "", NO_NAME, "--allow evil.test", NULL },
	{ "evil.test", DNS_SVCB, 5, "", NO_NAME, "--allow evil.test", NULL },
	{ "evil.test", TXT, 5, "", NO_NAME, "", NULL },
	{ "e vil.test", DNS_A, 5, "", NOT_HOST, "", "e?vil.test" },
	{ "", DNS_A, 5, "", NOT_HOST, "", "." },
	{ NAMES_GATEWAY, DNS_A, 5, "", NO_HOST, "--host-port PORT", NULL },
	{ NAMES_GATEWAY, TXT, 5, "", NO_HOST, "", NULL },
};

static const struct row host[] = {
	{ NAMES_GATEWAY, DNS_A, 0, "host_ports", "", "", NULL },
	{ NAMES_GATEWAY_ALIAS, DNS_A, 0, "host_ports", "", "", NULL },
	{ NAMES_GATEWAY, DNS_AAAA, 0, "host_ports", "", "", NULL },
	{ NAMES_GATEWAY, TXT, 5, "host_ports", NO_TYPE, "", NULL },
};

static const struct row permissive[] = {
	{ "t.test", DNS_A, 0, "t.test:443", "", "", NULL },
	{ "x.test", DNS_A, 0, "permissive", "", "--allow x.test", NULL },
	{ "x.test", DNS_AAAA, 0, "permissive", "", "--allow x.test", NULL },
	{ "x.test", TXT, 5, "permissive", NO_TYPE, "", NULL },
};

static const struct net_event *last_event(void)
{
	const struct event_queue *q = &state.events;
	static const struct net_event none;

	return q->n ? &q->ring[(q->head + q->n - 1) % q->size] : &none;
}

static size_t respond(const uint8_t *query, size_t n)
{
	state.events.n = 0;
	return relay_dns_respond(&state, query, n, answer, "udp");
}

/* The rcode, -1: no answer; the address in *addr. */
static int ask(const char *name, uint16_t type, uint32_t *addr)
{
	uint8_t query[300];
	size_t n = make_query(query, name, type);

	return read_answer(answer, (ssize_t)respond(query, n), addr);
}

static void test_rows(const struct row *row, size_t n)
{
	for (; n > 0; row++, n--) {
		const char *shown = row->shown ? row->shown : row->name;
		const struct net_event *e;
		char type[16];
		uint32_t addr;
		int rc = ask(row->name, row->type, &addr);
		bool has = row->type == DNS_A && row->rcode == 0;

		e = last_event();
		dns_type_name(row->type, type);
		ok(rc == row->rcode && !!addr == has, "%s %s: %d, %x",
		   row->name, type, rc, addr);
		ok(e->kind == NET_EVENT_DNS && e->port == 53 &&
		       !strcmp(e->name, shown) && !!e->addr[0] == has &&
		       !strcmp(e->detail, type) &&
		       !strcmp(e->protocol, "udp") &&
		       !strcmp(e->rule, row->rule) &&
		       !strcmp(e->reason, row->reason) &&
		       !strcmp(e->remedy, row->remedy),
		   "%s: \"%s\", \"%s\", \"%s\"", e->name, e->rule, e->reason,
		   e->remedy);
	}
}

static void test_odd_ones(void)
{
	uint8_t query[300];
	size_t n = make_query(query, "t.test", DNS_A);

	ok(respond(query, 11) == 0 && state.events.n == 0,
	   "less than a header: nothing");
	query[2] |= 0x80;
	ok(respond(query, n) == 0 && state.events.n == 0, "an answer: nothing");
	query[2] = 0x29;
	ok(respond(query, n) == 12 && (answer[3] & 15) == DNS_NOTIMP &&
	       !strcmp(last_event()->reason, "a malformed or unusual question"),
	   "something else than a question is told so");
	query[2] = 1;
	ok(respond(query, n - 1) == 12 && (answer[3] & 15) == DNS_FORMERR,
	   "and so is half of one");
}

static int make_up(size_t *limits)
{
	static unsigned int made;
	char name[40];
	uint32_t addr;
	int rc;

	snprintf(name, sizeof(name), "n%u.wild.test", made++);
	rc = ask(name, DNS_A, &addr);
	/* The limit is told of before the question. */
	*limits += state.events.n - 1;
	return rc;
}

static size_t make_up_all(size_t *limits)
{
	size_t n = 0;

	while (n < 2 * BURST && make_up(limits) == 0)
		n++;
	return n;
}

static void test_budget(void)
{
	static const char why[] = "too many different names below a wildcard: "
				  "they could carry data out";
	size_t limits = 0;
	uint32_t addr;
	int first, next;

	state.name_budget_at = 0;
	state.name_budget = 0;
	state.loop.now = 1;
	ok(make_up_all(&limits) == BURST && !strcmp(last_event()->reason, why),
	   "so many can be made up");
	ok(limits == 1, "that is told of");
	state.loop.now += 1999;
	ok(make_up(&limits) == 5, "none more in two seconds");
	state.loop.now += 1;
	first = make_up(&limits);
	next = make_up(&limits);
	ok(first == 0 && next == 5, "but one: %d, %d", first, next);
	ok(limits == 1, "as a limit only once: %zu", limits);
	ok(ask("n0.wild.test", DNS_A, &addr) == 0 &&
	       ask("t.test", DNS_A, &addr) == 0,
	   "others are answered meanwhile");
	state.loop.now += AGES;
	ok(make_up_all(&limits) == BURST, "it never fills up to more");
}

/* Nobody takes what is told: a refusal that finds no room is not answered. */
static void test_crowd(void)
{
	struct net_event event = { .kind = NET_EVENT_CONNECT };
	uint8_t query[300];
	size_t n = make_query(query, "evil.test", DNS_A);

	state.events.n = 0;
	while (state.events.n < OFFERED - 1)
		relay_event_send(&state, &event);
	ok(relay_dns_respond(&state, query, n, answer, "udp") > 0,
	   "where there is room for one");
	ok(relay_dns_respond(&state, query, n, answer, "udp") == 0 &&
	       state.events.dropped == 1,
	   "where there is none");
	n = make_query(query, "t.test", DNS_A);
	ok(relay_dns_respond(&state, query, n, answer, "udp") > 0 &&
	       state.events.n == OFFERED && state.events.dropped == 2,
	   "an allowed name is answered all the same");
}

static void test_no_room(void)
{
	char name[40];
	size_t limits = 0;

	for (unsigned int i = 0; i <= NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.test", i);
		names_add(&state.names, name);
	}
	state.loop.now += AGES;
	ok(make_up(&limits) == 5 &&
	       !strcmp(last_event()->reason, "too many different names"),
	   "a name that finds no place is refused");
}

int main(void)
{
	static const char *const texts[] = { "t.test:443", "*.wild.test:443" };
	static uint16_t host_port = 8080;
	static struct net_rule rules[ARRAY_SIZE(texts)];
	struct net_policy policy = { .mode = NET_RELAY,
				     .rules = rules,
				     .n_rules = ARRAY_SIZE(rules),
				     .host_ports = &host_port };
	char why[200];
	int fds[2];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (net_rule_parse(texts[i], &rules[i], why, sizeof(why)) < 0)
			return !ok(false, "%s: %s", texts[i], why);
	if (!ok(loop_init(&state.loop) == 0 &&
		    socketpair(AF_UNIX,
			       SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			       fds) == 0 &&
		    relay_event_init(&state, fds[0]) == 0,
		"a queue"))
		return done();
	names_init(&state.names);
	state.policy = &policy;
	test_rows(strict, ARRAY_SIZE(strict));
	policy.n_host_ports = 1;
	test_rows(host, ARRAY_SIZE(host));
	policy.permissive = true;
	test_rows(permissive, ARRAY_SIZE(permissive));
	policy.permissive = false;
	test_odd_ones();
	test_budget();
	test_crowd();
	test_no_room();
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		net_rule_free(&rules[i]);
	return done();
}
