/* SPDX-License-Identifier: MIT */
#include "netrule.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define LABEL_MAX 63

/* Where a sentence for the user goes. */
struct why {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct why *why,
							const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	return -1;
}

/*** Names ***/

static bool is_label_char(unsigned char c)
{
	/* Not by isalnum(): its answer is the locale's. */
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * Is the last label a number?  inet_aton(), and with it every resolver, takes
 * "127.1", "0x7f.1" and "2130706433" for addresses, so they are no names.
 */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *label = dot ? dot + 1 : name;

	if (label[strspn(label, "0123456789")] == '\0')
		return true;
	return label[0] == '0' && label[1] == 'x' &&
	       label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
}

static bool labels_valid(const char *name)
{
	for (const char *label = name;;) {
		size_t len = strcspn(label, ".");

		if (len == 0 || len > LABEL_MAX || label[0] == '-' ||
		    label[len - 1] == '-')
			return false;
		if (label[len] == '\0')
			return true;
		label += len + 1;
	}
}

int net_name_ascii(const char *name, size_t len, char out[static NET_NAME_MAX])
{
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= NET_NAME_MAX)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c != '.' && !is_label_char(c))
			return -1;
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	out[len] = '\0';
	return labels_valid(out) && !ends_in_number(out) ? 0 : -1;
}

static bool is_ascii(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] & 0x80)
			return false;
	return true;
}

/* libidn2, by hand: loading it costs more than all the rest of our start. */
#define IDN2_NFC_INPUT       1
#define IDN2_NONTRANSITIONAL 8

enum idna { IDNA_OK, IDNA_BAD, IDNA_MISSING };

static enum idna to_a_labels(const char *name, size_t len,
			     char out[static NET_NAME_MAX])
{
	auto_free char *utf8 = xstrndup(name, len);
	void *lib = dlopen("libidn2.so.0", RTLD_NOW | RTLD_LOCAL);
	int (*to_ascii)(const char *, char **, int);
	void (*release)(void *);
	enum idna result = IDNA_BAD;
	char *ascii = NULL;

	if (!lib)
		return IDNA_MISSING;
	*(void **)&to_ascii = dlsym(lib, "idn2_to_ascii_8z");
	*(void **)&release = dlsym(lib, "idn2_free");
	if (!to_ascii || !release) {
		result = IDNA_MISSING;
	} else if (strlen(utf8) == len &&
		   to_ascii(utf8, &ascii,
			    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == 0) {
		if (net_name_ascii(ascii, strlen(ascii), out) == 0)
			result = IDNA_OK;
		release(ascii);
	}
	dlclose(lib);
	return result;
}

int net_name_canonical(const char *name, size_t len,
		       char out[static NET_NAME_MAX])
{
	if (is_ascii(name, len))
		return net_name_ascii(name, len, out);
	return to_a_labels(name, len, out) == IDNA_OK ? 0 : -1;
}

/* Endings that belong to nobody else: below them a wildcard is not the world.
 */
static bool is_private_suffix(const char *name)
{
	static const char *const suffixes[] = {
		"corp",  "home",        "internal", "intranet", "lan",
		"local", "localdomain", "private",  "test",
	};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (strcmp(name, suffixes[i]) == 0)
			return true;
	return false;
}

static int parse_name(const char *host, struct net_rule *rule,
		      const struct why *why)
{
	bool wildcard = strncmp(host, "*.", 2) == 0;
	const char *name = wildcard ? host + 2 : host;
	size_t len = strlen(name);
	const char *last;

	if (!is_ascii(name, len)) {
		enum idna result = to_a_labels(name, len, rule->name);

		if (result == IDNA_MISSING)
			return refuse(why, "libidn2 is not installed, which "
					   "names in other letters than ASCII "
					   "need: write the xn-- form");
		if (result == IDNA_BAD)
			return refuse(why, "not a valid host name");
	} else if (net_name_ascii(name, len, rule->name) < 0) {
		return refuse(
		    why, strchr(name, '*')
			     ? "\"*\" stands for a whole first label only, "
			       "as in \"*.example.com\""
			     : "not a valid host name or address");
	}
	last = strrchr(rule->name, '.');
	if (strcmp(last ? last + 1 : rule->name, "localhost") == 0)
		return refuse(why, "localhost inside is the sandbox itself: "
				   "list a port of the host's loopback in "
				   "host_ports, or name 127.0.0.1");
	if (wildcard && !last && !is_private_suffix(rule->name))
		return refuse(why, "a whole top-level domain is too much: name "
				   "the domain below it");
	rule->kind = wildcard ? NET_RULE_WILDCARD : NET_RULE_NAME;
	return 0;
}

/*** Addresses ***/

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool is_mapped(const struct in6_addr *addr)
{
	return memcmp(addr, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

int net_addr_parse(const char *text, struct in6_addr *addr)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		memcpy(addr->s6_addr, mapped_prefix, sizeof(mapped_prefix));
		memcpy(addr->s6_addr + 12, &v4, sizeof(v4));
		return 0;
	}
	return inet_pton(AF_INET6, text, addr) == 1 ? 0 : -1;
}

static bool same_prefix(const struct in6_addr *a, const struct in6_addr *b,
			unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 ||
	       ((a->s6_addr[whole] ^ b->s6_addr[whole]) & mask) == 0;
}

static void clear_host_bits(struct in6_addr *addr, unsigned int prefix)
{
	for (unsigned int bit = prefix; bit < 128; bit++)
		addr->s6_addr[bit / 8] &= (uint8_t) ~(0x80 >> (bit % 8));
}

/*
 * The shortest prefix that still names somebody.  Two halves of the world are
 * the world, and so is the IPv4 world inside a translator's IPv6 prefix: of
 * that alone, or of a network that holds it.
 */
static unsigned int shortest_prefix(const struct net_rule *rule)
{
	static const struct {
		const char *base;
		unsigned int base_bits, shortest;
	} spaces[] = {
		{ "::ffff:0:0", 96, 96 + 8 }, /* IPv4 */
		{ "64:ff9b::", 96, 96 + 8 },  /* NAT64 */
		{ "64:ff9b:1::", 48, 48 + 8 },
		{ "2002::", 16, 16 + 8 }, /* 6to4 */
		{ "2001::", 32, 32 + 8 }, /* Teredo */
	};

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		unsigned int bits = spaces[i].base_bits;
		struct in6_addr base;

		inet_pton(AF_INET6, spaces[i].base, &base);
		if (same_prefix(&rule->addr, &base,
				rule->prefix < bits ? rule->prefix : bits))
			return spaces[i].shortest;
	}
	return 16;
}

static int parse_prefix(const char *digits, struct net_rule *rule,
			const struct why *why)
{
	unsigned int most = is_mapped(&rule->addr) ? 32 : 128;
	struct in6_addr network = rule->addr;
	char text[INET6_ADDRSTRLEN];
	uint64_t bits;

	if (parse_u64(digits, &bits) < 0 || bits > most)
		return refuse(why, "the prefix length is a number from 0 to %u",
			      most);
	rule->prefix = (uint8_t)(bits + 128 - most);
	if (rule->prefix < shortest_prefix(rule))
		return refuse(why,
			      "a network this large means everything: /%u "
			      "is too short",
			      (unsigned int)bits);
	clear_host_bits(&network, rule->prefix);
	if (memcmp(&network, &rule->addr, sizeof(network)) == 0)
		return 0;
	if (most == 32)
		inet_ntop(AF_INET, &network.s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, &network, text, sizeof(text));
	return refuse(why,
		      "the address has bits beyond the prefix: did you "
		      "mean %s/%u?",
		      text, (unsigned int)bits);
}

/* 1: it is an address or CIDR; 0: it is none; -1: it is a bad one. */
static int parse_cidr(char *host, struct net_rule *rule, const struct why *why)
{
	char *slash = strchr(host, '/');

	if (slash)
		*slash = '\0';
	if (net_addr_parse(host, &rule->addr) < 0)
		return slash ? refuse(why,
				      "\"%s\" before the \"/\" is not an "
				      "address",
				      host)
			     : 0;
	rule->kind = NET_RULE_CIDR;
	rule->prefix = 128;
	if (slash && parse_prefix(slash + 1, rule, why) < 0)
		return -1;
	/* With a prefix, too: a name that leads there leads to this host. */
	if (IN6_IS_ADDR_UNSPECIFIED(&rule->addr) ||
	    (is_mapped(&rule->addr) && rule->addr.s6_addr[12] == 0))
		return refuse(why, "this address means everything");
	return 1;
}

/*** The whole ***/

static int parse_port(const char *digits, uint16_t *port)
{
	uint64_t value;

	if (parse_u64(digits, &value) < 0 || value == 0 || value > 65535)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

static int parse_ports(char *ports, struct net_rule *rule,
		       const struct why *why)
{
	char *dash = strchr(ports, '-');

	if (dash)
		*dash = '\0';
	if (parse_port(ports, &rule->port_lo) < 0 ||
	    parse_port(dash ? dash + 1 : ports, &rule->port_hi) < 0)
		return refuse(why, "a port is a number from 1 to 65535, or two "
				   "of them as in 8000-8010");
	if (rule->port_lo > rule->port_hi)
		return refuse(why, "the port range %u-%u is backwards",
			      rule->port_lo, rule->port_hi);
	return 0;
}

/*
 * Splits "[v6]:PORT", "v6", "HOST:PORT" and the like in place.  *ports is NULL
 * when there are none.  A bare IPv6 address has two colons or more.
 */
static int split(char *text, char **host, char **ports, const struct why *why)
{
	char *colon = strchr(text, ':');
	char *end;

	*host = text;
	*ports = NULL;
	if (text[0] != '[') {
		if (!colon || strchr(colon + 1, ':'))
			return 0;
		*colon = '\0';
		*ports = colon + 1;
		return 0;
	}
	end = strchr(text, ']');
	if (!end)
		return refuse(why, "\"[\" without \"]\"");
	*host = text + 1;
	if (end[1] == '/') { /* [v6]/64:PORT */
		colon = strchr(end, ':');
		if (colon)
			*colon = '\0';
		memmove(end, end + 1, strlen(end + 1) + 1);
		*ports = colon ? colon + 1 : NULL;
		return 0;
	}
	*end = '\0';
	if (end[1] == '\0')
		return 0;
	if (end[1] != ':')
		return refuse(why, "only \":PORT\" can follow \"]\"");
	*ports = end + 2;
	return 0;
}

static int check_text(const char *text, const struct why *why)
{
	if (text[0] == '\0')
		return refuse(why, "it is empty");
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return refuse(why, "it has a space or a control "
					   "character in it");
	if (strstr(text, "://"))
		return refuse(why, "this is a URL: write the host name only");
	if (strchr(text, '%'))
		return refuse(why, "\"%%\" (a zone or an escape) has no "
				   "meaning here");
	return 0;
}

static int parse_host(char *host, struct net_rule *rule, const struct why *why)
{
	int rc;

	if (strcmp(host, "*") == 0 || strcmp(host, "*.") == 0)
		return refuse(why, "this means everything: name the hosts");
	rc = parse_cidr(host, rule, why);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (strchr(host, ':'))
		return refuse(why, "not an IPv6 address; with a port it is "
				   "[ADDRESS]:PORT");
	return parse_name(host, rule, why);
}

int net_rule_parse(const char *text, struct net_rule *rule, char *why,
		   size_t why_size)
{
	const struct why sentence = { why, why_size };
	auto_free char *copy = xstrdup(text);
	char *host, *ports;

	*rule = (struct net_rule){ 0 };
	if (check_text(text, &sentence) < 0 ||
	    split(copy, &host, &ports, &sentence) < 0 ||
	    (ports && parse_ports(ports, rule, &sentence) < 0) ||
	    parse_host(host, rule, &sentence) < 0)
		return -1;
	rule->text = xstrdup(text);
	return 0;
}

void net_rule_free(struct net_rule *rule)
{
	free(rule->text);
	*rule = (struct net_rule){ 0 };
}

bool net_rule_is_one_host(const struct net_rule *rule)
{
	return rule->kind == NET_RULE_NAME ||
	       (rule->kind == NET_RULE_CIDR && rule->prefix == 128);
}

bool net_rule_matches_name(const struct net_rule *rule, const char *name)
{
	size_t len, base;

	if (rule->kind == NET_RULE_NAME)
		return strcmp(rule->name, name) == 0;
	if (rule->kind != NET_RULE_WILDCARD)
		return false;
	len = strlen(name);
	base = strlen(rule->name);
	return len > base + 1 && name[len - base - 1] == '.' &&
	       strcmp(name + len - base, rule->name) == 0;
}

bool net_rule_matches_addr(const struct net_rule *rule,
			   const struct in6_addr *addr)
{
	/* An IPv6 network never speaks of IPv4, whatever its prefix covers. */
	if (rule->kind != NET_RULE_CIDR ||
	    is_mapped(&rule->addr) != is_mapped(addr))
		return false;
	return same_prefix(&rule->addr, addr, rule->prefix);
}
