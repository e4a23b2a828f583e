/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <string.h>

#include "util.h"

/*
 * What the relay saw, as events.  The relay parses hostile bytes: its texts are
 * taken as bytes that may be anything and need not end.
 */

static void add_text(cJSON *fields, const char *key, const char *bytes,
		     size_t size)
{
	size_t len = strnlen(bytes, size);

	if (len)
		cJSON_AddItemToObject(fields, key, event_string(bytes, len));
}

#define ADD_TEXT(fields, key, array) add_text(fields, key, array, sizeof(array))

static void add_decision(cJSON *fields, const struct net_event *event)
{
	/* A connection can fail for a reason and yet have been allowed. */
	bool denied = event->kind == NET_EVENT_DENIED ||
		      (event->kind == NET_EVENT_DNS && event->reason[0]);

	cJSON_AddStringToObject(fields, "verdict",
				denied ? "denied" : "allowed");
	ADD_TEXT(fields, "rule", event->rule);
	ADD_TEXT(fields, "reason", event->reason);
	ADD_TEXT(fields, "remedy", event->remedy);
}

static void add_peer(cJSON *fields, const struct net_event *event)
{
	if (event->connection)
		cJSON_AddItemToObject(fields, "connection",
				      event_number(event->connection));
	ADD_TEXT(fields, "name", event->name);
	ADD_TEXT(fields, "addr", event->addr);
	cJSON_AddItemToObject(fields, "port", event_number(event->port));
	ADD_TEXT(fields, "protocol", event->protocol);
	if (event->inbound)
		cJSON_AddStringToObject(fields, "direction", "in");
	if (event->proxied)
		cJSON_AddStringToObject(fields, "via", "proxy");
}

static void add_dns(cJSON *fields, const struct net_event *event)
{
	ADD_TEXT(fields, "name", event->name);
	ADD_TEXT(fields, "type", event->detail);
	ADD_TEXT(fields, "addr", event->addr);
	add_decision(fields, event);
}

static void add_connect(cJSON *fields, const struct net_event *event)
{
	add_peer(fields, event);
	ADD_TEXT(fields, "tls", event->detail);
	add_decision(fields, event);
	if (event->error)
		cJSON_AddStringToObject(fields, "error",
					strerror(event->error));
}

static void add_close(cJSON *fields, const struct net_event *event)
{
	add_peer(fields, event);
	cJSON_AddItemToObject(fields, "bytes_out",
			      event_number(event->bytes_out));
	cJSON_AddItemToObject(fields, "bytes_in",
			      event_number(event->bytes_in));
	cJSON_AddItemToObject(fields, "duration_ms",
			      event_number(event->duration_ms));
	ADD_TEXT(fields, "reason", event->reason);
}

static void add_limit(cJSON *fields, const struct net_event *event)
{
	cJSON_AddStringToObject(fields, "what", "network");
	ADD_TEXT(fields, "name", event->name);
	ADD_TEXT(fields, "protocol", event->protocol);
	ADD_TEXT(fields, "reason", event->reason);
	if (event->dropped)
		cJSON_AddItemToObject(fields, "dropped",
				      event_number(event->dropped));
}

static const struct kind {
	const char *name;
	void (*add)(cJSON *fields, const struct net_event *event);
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
	cJSON *fields;

	if ((size_t)event->kind >= ARRAY_SIZE(kinds))
		return;
	fields = cJSON_CreateObject();
	kinds[event->kind].add(fields, event);
	(first ? event_emit_first : event_emit)(log, kinds[event->kind].name,
						fields);
}
