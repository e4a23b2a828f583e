/* SPDX-License-Identifier: MIT */
#include "why.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "exec_look.h"
#include "json_write.h"
#include "needs.h"
#include "netaddr.h"
#include "relay_state.h"
#include "text.h"
#include "view.h"

struct finding {
	const char *about; /* "connection", "path", "command" */
	bool allowed;
	char *is;     /* what it is, when allowed; or NULL */
	char *rule;   /* what allows it, or NULL */
	char *reason; /* why not, or NULL */
	char *remedy; /* the flag that would change it, or NULL */
	char *note;   /* what else decides, or NULL */
};

static void finding_free(struct finding *f)
{
	free(f->is);
	free(f->rule);
	free(f->reason);
	free(f->remedy);
	free(f->note);
}

static char *copy_of(const char *text)
{
	return text && *text ? xstrdup(text) : NULL;
}

/*** Connections ***/

/* What the relay asks at the time, of names that lead somewhere. */
static void note_answers(struct finding *f, const struct net_policy *policy,
			 const char *name, uint16_t port)
{
	const struct spec_resolve *entry = relay_resolve_entry(policy, name);
	char addr[INET6_ADDRSTRLEN];

	if (entry) {
		netaddr_format(&entry->addr, addr);
		f->note = xasprintf("it is %s, as you say", addr);
	} else if (policy->proxy &&
		   !proxy_passes_by(policy->proxy, name, NULL, port)) {
		f->note = xstrdup("through the proxy");
	} else {
		f->note = xstrdup("unless it leads to a private, local or "
				  "metadata address, or to this host");
	}
}

static void judge_name(struct finding *f, const struct net_policy *policy,
		       const struct net_rule *asked, struct relay_verdict *v)
{
	static struct names names;
	const struct net_rule *rule = relay_rule_naming(policy, asked->name);
	bool gateway;

	names_init(&names);
	gateway = names_find(&names, asked->name) != NULL;
	relay_judge_name(policy, asked->name, gateway, asked->port_lo, v);
	if (gateway)
		return;
	if (!rule)
		v->reason = "the name is not allowed";
	if (v->reason)
		return;
	v->reason = relay_made_up(rule, asked->name);
	if (!v->reason)
		note_answers(f, policy, asked->name, asked->port_lo);
}

static void judge_addr(struct finding *f, const struct net_policy *policy,
		       const struct net_rule *asked, struct relay_verdict *v)
{
	const char *special = netaddr_special(&asked->addr);
	auto_fd int route_fd = netaddr_route_open();

	if (netaddr_is_v4(&asked->addr) &&
	    names_in_range(netaddr_v4(&asked->addr)))
		v->reason = "inside, the address stands for a name or for "
			    "nothing";
	else
		relay_judge_addr(policy, route_fd, &asked->addr, asked->port_lo,
				 v);
	if (special)
		f->note = xasprintf("it is %s", special);
}

static int find_connection(struct finding *f, const struct plan *plan,
			   const char *question)
{
	struct relay_verdict v = { .rule = NULL };
	struct net_rule asked = { 0 };
	char why[256] = "";

	f->about = "connection";
	if (net_rule_parse(question, &asked, why, sizeof(why)) < 0)
		return fail(0, "no question to be answered: %s", why);
	if (!net_rule_is_one_host(&asked) || asked.port_lo == 0 ||
	    asked.port_lo != asked.port_hi) {
		net_rule_free(&asked);
		fail(0,
		     "no question to be answered: %s is not one host and "
		     "one port",
		     question);
		return fail_remedy("ask HOST:PORT, /PATH or COMMAND");
	}
	if (plan->net.mode == NET_HOST)
		v.rule = "--network host";
	else if (asked.kind == NET_RULE_NAME)
		judge_name(f, &plan->net, &asked, &v);
	else
		judge_addr(f, &plan->net, &asked, &v);
	f->allowed = v.reason == NULL;
	f->rule = copy_of(v.rule);
	f->reason = copy_of(v.reason);
	f->remedy = copy_of(v.remedy);
	net_rule_free(&asked);
	return 0;
}

/*** Commands ***/

static bool is_noexec(const struct view *v)
{
	/* Our own root is closed like every tree of ours without a flag. */
	return v->mount == NULL || v->mount->flags & PLAN_NOEXEC;
}

/* As the record would judge it, with the file that it is on the host. */
static void judge_file(struct exec_attempt *a, const struct plan *plan,
		       const struct view *v, const char *path)
{
	a->target = xstrdup(path);
	if (v->kind == VIEW_HOST) {
		a->file_fd = open(v->source, O_PATH | O_CLOEXEC);
		a->st = v->st;
		a->writable = v->mount && v->mount->flags & PLAN_RW;
		exec_look_file(a, is_noexec(v));
	} else if (v->kind == VIEW_FRESH && is_noexec(v)) {
		a->verdict = EXEC_DENIED;
		a->reason = "nothing may be executed from where it is";
		if (path_under(path, plan->workdir))
			a->remedy = xstrdup("--workdir-exec");
	} else if (v->kind != VIEW_FRESH) {
		a->verdict = EXEC_ABSENT;
	}
	exec_list_judge(a, plan);
}

static const char *rule_for(const struct plan *plan,
			    const struct exec_attempt *a, const struct view *v)
{
	const struct command *c;

	if (v->kind == VIEW_FRESH)
		return "the run may execute what it puts there";
	if (!plan->commands.listed)
		return "no list of commands: whatever is visible may run";
	c = commands_find(&plan->commands, &a->st);
	return c ? c->why : "the workdir's own programs may run";
}

/* True: this is the answer, allowed or not; false: there is no such file. */
static bool find_program(struct finding *f, const struct plan *plan,
			 const char *path)
{
	struct exec_attempt a = EXEC_ATTEMPT_NONE;
	struct view v;
	bool found;

	view_find(&v, plan, path);
	judge_file(&a, plan, &v, path);
	found = a.verdict != EXEC_ABSENT;
	if (found) {
		f->allowed = a.verdict == EXEC_ALLOWED;
		f->is = xstrdup(f->allowed ? v.path : path);
		f->rule = f->allowed ? xstrdup(rule_for(plan, &a, &v)) : NULL;
		f->reason = copy_of(a.reason);
		f->remedy = take_ptr(&a.remedy);
	}
	view_free(&v);
	exec_attempt_free(&a);
	return found;
}

/* Value of the payload's own PATH. */
static const char *search_path(const struct plan *plan)
{
	for (size_t i = 0; i < plan->env.n; i++)
		if (strncmp(plan->env.v[i], "PATH=", 5) == 0)
			return plan->env.v[i] + 5;
	return "";
}

static void find_command(struct finding *f, const struct plan *plan,
			 const char *name)
{
	const char *at = search_path(plan);
	struct finding first = { 0 };

	f->about = "command";
	while (*at) {
		size_t len = strcspn(at, ":");
		auto_free char *path = xasprintf("%.*s/%s", (int)len, at, name);
		struct finding here = { .about = f->about };

		at += len + (at[len] == ':');
		if (find_program(&here, plan, path) && here.allowed) {
			finding_free(&first);
			*f = here;
			return;
		}
		/* execvp goes on with the next folder, too. */
		if (here.reason && !first.reason)
			first = here;
		else
			finding_free(&here);
	}
	if (first.reason) {
		*f = first;
		f->about = "command";
	} else {
		f->reason = xstrdup("no program of this name is visible on "
				    "the payload's PATH");
		if (strchr(name, '.'))
			f->note = xstrdup("a host is asked for with its port: "
					  "HOST:PORT");
	}
}

/*** Paths ***/

static bool is_reserved(const struct plan *plan, const char *path)
{
	return path_under(path, "/proc") || path_under(path, "/dev") ||
	       path_under(path, "/sys") || path_under(path, plan->workdir);
}

static char *bind_flag(const struct plan *plan, const char *flag,
		       const char *source, const char *path)
{
	auto_free char *from = text_shell(source);
	auto_free char *to = text_shell(path);

	return is_reserved(plan, path) || access(source, F_OK) < 0
		   ? NULL
		   : xasprintf("%s %s %s", flag, from, to);
}

/* A mask's place within the project, which its program shows, too; or NULL. */
static const char *hidden_name(const struct plan *plan,
			       const struct plan_mount *m)
{
	const char *const tops[] = { plan->workdir, plan->project.path };

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
		if (tops[i] && m->kind == PLAN_MASK &&
		    path_under(m->destination, tops[i]))
			return m->destination + strlen(tops[i]) + 1;
	return NULL;
}

/* The socket or fifo of the host's that a mask lies over; or NULL. */
static char *door_below(const struct plan *plan, const struct plan_mount *mask)
{
	auto_free char *source = NULL;
	struct stat st;

	for (const struct plan_mount *m = plan->mounts; m < mask; m++)
		if ((m->kind == PLAN_BIND || m->kind == PLAN_PROJECT) &&
		    path_under(mask->destination, m->destination)) {
			free(source);
			source = xasprintf("%s%s", m->source,
					   mask->destination +
					       strlen(m->destination));
		}
	return source && lstat(source, &st) == 0 &&
		       (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode))
		   ? take_ptr(&source)
		   : NULL;
}

static void find_hidden(struct finding *f, const struct plan *plan,
			const struct view *v)
{
	auto_free char *door = door_below(plan, v->mount);
	const char *name = hidden_name(plan, v->mount);

	if (door) {
		auto_free char *shown = name ? text_shell(name) : NULL;

		f->reason = xstrdup("it is a socket or a fifo, and leads to "
				    "whoever has it open on the host");
		f->remedy = shown ? xasprintf("--show %s", shown)
				  : bind_flag(plan, "--ro-bind", door, v->path);
	} else if (name) {
		auto_free char *shown = text_shell(name);

		f->reason = xstrdup("it looks like a secret of the project");
		f->remedy = xasprintf("--show %s", shown);
	} else if (plan->project.git_at &&
		   path_under(v->path, plan->project.git_at)) {
		f->reason = xstrdup("it is in the project's repository, and "
				    "not git's");
	} else if (path_under(v->path, "/proc")) {
		f->reason = xstrdup("it tells of the host, and is masked");
	} else {
		f->reason = xstrdup("the folder holds what is on the list of "
				    "allowed commands only");
		f->remedy = exec_list_flag(&plan->commands, v->path);
	}
}

static void find_there(struct finding *f, const struct plan *plan,
		       const struct view *v)
{
	const struct plan_mount *m = v->mount;
	bool host = m && v->kind == VIEW_HOST;

	f->allowed = v->readable;
	f->is = xasprintf("%s%s", v->writable ? "writable" : "read-only",
			  v->kind == VIEW_FRESH ? ", made by the run itself"
						: "");
	if (host)
		f->rule = xasprintf("%s of the host, shown at %s", m->source,
				    m->destination);
	else
		f->rule = xasprintf("%s is the sandbox's own",
				    m ? m->destination : "the root");
	if (!v->readable)
		f->reason = xstrdup("its mode on the host keeps the payload "
				    "out");
	else if (!v->writable && host && m->kind == PLAN_PROJECT)
		f->remedy = xstrdup("--project-mode overlay");
	else if (!v->writable && host && v->mode_writes &&
		 !needs_is_base(v->source))
		f->remedy = bind_flag(plan, "--bind", v->source, v->path);
}

static void find_path(struct finding *f, const struct plan *plan,
		      const char *path)
{
	struct view v;

	f->about = "path";
	view_find(&v, plan, path);
	switch (v.kind) {
	case VIEW_ABSENT:
		f->reason = xstrdup("nothing of the host is there inside, "
				    "unless it is asked for");
		f->remedy = bind_flag(plan, "--ro-bind", v.path, v.path);
		break;
	case VIEW_HIDDEN:
		find_hidden(f, plan, &v);
		break;
	case VIEW_HOST:
	case VIEW_OURS:
	case VIEW_FRESH:
		find_there(f, plan, &v);
		break;
	}
	if (v.kind == VIEW_HOST && S_ISREG(v.st.st_mode) &&
	    v.st.st_mode & 0111) {
		struct finding run = { 0 };

		find_program(&run, plan, v.path);
		f->note = run.allowed
			      ? xasprintf("it may be executed (%s)", run.rule)
			      : xasprintf("it may not be executed: %s%s%s",
					  run.reason, run.remedy ? "; " : "",
					  run.remedy ? run.remedy : "");
		finding_free(&run);
	}
	view_free(&v);
}

/*** The answer ***/

static void print_text(const struct finding *f, const char *question, FILE *out)
{
	const struct {
		const char *label, *text;
	} more[] = {
		{ "by:", f->allowed ? f->rule : NULL },
		{ !f->allowed          ? "to allow it:"
		  : f->about[0] == 'p' ? "to write:"
				       : "would need:",
		  f->remedy },
		{ "note:", f->note },
	};
	const char *is = f->allowed ? f->is : f->reason;
	auto_free char *what = text_visible(question, true);
	auto_free char *seen = is ? text_visible(is, true) : NULL;

	fprintf(out, "%s: %s %s%s%s\n", f->allowed ? "allowed" : "denied",
		f->about, what, seen ? ": " : "", seen ? seen : "");
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		auto_free char *text = more[i].text
					   ? text_visible(more[i].text, true)
					   : NULL;

		if (text)
			fprintf(out, "  %-12s %s\n", more[i].label, text);
	}
}

static void print_json(const struct finding *f, const char *question, FILE *out)
{
	const struct {
		const char *key, *text;
	} texts[] = {
		{ "question", question }, { "about", f->about },
		{ "is", f->is },          { "rule", f->rule },
		{ "reason", f->reason },  { "remedy", f->remedy },
		{ "note", f->note },
	};
	struct json_writer w = JSON_WRITER_NONE;

	json_write_open(&w, NULL, '{');
	json_write_string(&w, "verdict", f->allowed ? "allowed" : "denied");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].text)
			json_write_string(&w, texts[i].key, texts[i].text);
	json_write_close(&w, '}');
	fprintf(out, "%s\n", w.text);
	json_write_free(&w);
}

int why_explain(const struct plan *plan, const char *question, bool json,
		FILE *out)
{
	struct finding f = { 0 };
	int rc = 0;

	if (question[0] == '/') {
		find_path(&f, plan, question);
	} else if (strchr(question, ':')) {
		rc = find_connection(&f, plan, question);
	} else if (question[0] == '\0' || strchr(question, '/')) {
		fail(0, "no question to be answered: \"%.80s\"", question);
		rc = fail_remedy("ask HOST:PORT, /PATH or COMMAND");
	} else {
		find_command(&f, plan, question);
	}
	if (rc == 0) {
		(json ? print_json : print_text)(&f, question, out);
		rc = f.allowed ? 0 : 1;
	}
	finding_free(&f);
	return rc;
}
