/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <string.h>

#include "util.h"

/*
 * What the relay saw, as events.  The relay parses hostile bytes: its texts are
 * taken as bytes that may be anything and need not end.
 */

static void add_text(struct json_writer *e, const char *key, const char *bytes,
		     size_t size)
{
	size_t len = strnlen(bytes, size);

	if (len)
		json_write_bytes(e, key, bytes, len);
}

#define ADD_TEXT(e, key, array) add_text(e, key, array, sizeof(array))

static void add_decision(struct json_writer *e, const struct net_event *event)
{
	/* A connection can fail for a reason and yet have been allowed. */
	bool denied = event->kind == NET_EVENT_DENIED ||
		      (event->kind == NET_EVENT_DNS && event->reason[0]);

	json_write_string(e, "verdict", denied ? "denied" : "allowed");
	ADD_TEXT(e, "rule", event->rule);
	ADD_TEXT(e, "reason", event->reason);
	ADD_TEXT(e, "remedy", event->remedy);
}

static void add_peer(struct json_writer *e, const struct net_event *event)
{
	if (event->connection)
		json_write_number(e, "connection", event->connection);
	ADD_TEXT(e, "name", event->name);
	ADD_TEXT(e, "addr", event->addr);
	json_write_number(e, "port", event->port);
	ADD_TEXT(e, "protocol", event->protocol);
	if (event->inbound)
		json_write_string(e, "direction", "in");
	if (event->proxied)
		json_write_string(e, "via", "proxy");
}

static void add_dns(struct json_writer *e, const struct net_event *event)
{
	ADD_TEXT(e, "name", event->name);
	ADD_TEXT(e, "type", event->detail);
	ADD_TEXT(e, "addr", event->addr);
	add_decision(e, event);
}

static void add_connect(struct json_writer *e, const struct net_event *event)
{
	add_peer(e, event);
	ADD_TEXT(e, "tls", event->detail);
	add_decision(e, event);
	if (event->error)
		json_write_string(e, "error", strerror(event->error));
}

static void add_close(struct json_writer *e, const struct net_event *event)
{
	add_peer(e, event);
	json_write_number(e, "bytes_out", event->bytes_out);
	json_write_number(e, "bytes_in", event->bytes_in);
	json_write_number(e, "duration_ms", event->duration_ms);
	ADD_TEXT(e, "reason", event->reason);
}

static void add_limit(struct json_writer *e, const struct net_event *event)
{
	json_write_string(e, "what", "network");
	ADD_TEXT(e, "name", event->name);
	ADD_TEXT(e, "protocol", event->protocol);
	ADD_TEXT(e, "reason", event->reason);
	if (event->dropped)
		json_write_number(e, "dropped", event->dropped);
}

static const struct kind {
	const char *name;
	void (*add)(struct json_writer *e, const struct net_event *event);
} kinds[] = {
	[NET_EVENT_DNS] = { "dns", add_dns },
	[NET_EVENT_CONNECT] = { "connect", add_connect },
	[NET_EVENT_DENIED] = { "denied", add_connect },
	[NET_EVENT_CLOSE] = { "close", add_close },
	[NET_EVENT_LIMIT] = { "limit", add_limit },
};
_Static_assert(ARRAY_SIZE(kinds) == NET_EVENT_LIMIT + 1,
	       "each kind of network event has a name");

void event_emit_net(struct event_log *log, const struct net_event *event,
		    bool first)
{
	struct json_writer *e;

	if ((size_t)event->kind >= ARRAY_SIZE(kinds))
		return;
	e = event_begin_at(log, kinds[event->kind].name, NULL, first);
	kinds[event->kind].add(e, event);
	event_end(log);
}
