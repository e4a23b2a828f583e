/* SPDX-License-Identifier: MIT */
#include "review.h"

#include <stddef.h>
#include <string.h>

#include "text.h"
#include "util.h"

struct row {
	const char *name, *what;
};

static const char repository[] = "can make its folder a git repository";
static const char submodule[] = "a submodule's git directory";
static const char worktree[] = "a worktree's git directory";
static const char records[] = "git's own records";

/*
 * A slash at the end: all below; a star: any end of the name.  In small letters.
 * Found at any depth, since projects nest, and by any name that a file system
 * takes for it (plain_path), since the tree may be on one or go to one.
 *
 * What is here acts where the user meant something else: to look, to enter, to
 * start a tool.  What is run by being asked for (makefiles, package.json, tests)
 * is the work itself.
 */
static const struct row controls[] = {
	{ ".git/hooks/", "a git hook" },
	{ ".git/config", "git's configuration, which can name commands" },
	{ ".git/config.worktree",
	  "git's configuration, which can name commands" },
	{ ".git/info/", "git's attributes, which choose filters" },
	{ ".git/modules/", submodule },
	{ ".git/worktrees/", worktree },
	{ ".git/", records },
	{ ".git", "says where git's directory is" },
	/* What include.path of the user's own is wont to name. */
	{ ".gitconfig*", "git's configuration, which can name commands" },
	/* Any folder that holds it, objects and refs is git's, by no name. */
	{ "head", repository },
	{ ".gitmodules", "says where submodules come from" },
	{ ".githooks/", "a git hook" },
	{ ".husky/", "a git hook" },
	{ "lefthook.*", "configures git hooks" },
	{ ".lefthook.*", "configures git hooks" },
	{ "lefthook-local.*", "configures git hooks" },
	{ ".lefthook-local.*", "configures git hooks" },
	{ ".lefthook/", "a git hook" },
	{ ".lefthook-local/", "a git hook" },
	{ ".pre-commit-config.*", "configures git hooks" },
	{ ".overcommit.yml", "configures git hooks" },
	{ ".huskyrc*", "configures git hooks" },
	{ "simple-git-hooks.*", "configures git hooks" },
	{ ".simple-git-hooks.*", "configures git hooks" },
	/* What a hook of theirs runs. */
	{ ".lintstagedrc*", "configures git hooks" },
	{ "lint-staged.config.*", "configures git hooks" },
	{ ".hg/hgrc*", "mercurial's configuration, which can name commands" },
	{ ".hg/sharedpath", "says where mercurial's directory is" },
	{ ".jj/repo/config.toml",
	  "jj's configuration, which can name commands" },
	{ ".jj/repo", "says where jj's directory is" },
	{ ".claude/", "an agent's settings" },
	{ ".mcp.json", "an agent's settings" },
	{ ".codex/", "an agent's settings" },
	{ ".cursor/", "an agent's settings" },
	{ ".aider.conf.yml", "an agent's settings" },
	{ ".gemini/", "an agent's settings" },
	{ ".qwen/", "an agent's settings" },
	{ ".opencode/", "an agent's settings" },
	{ "opencode.json*", "an agent's settings" },
	{ ".crush.json", "an agent's settings" },
	{ "crush.json", "an agent's settings" },
	{ ".windsurf/", "an agent's settings" },
	{ ".kiro/", "an agent's settings" },
	{ ".roo/", "an agent's settings" },
	{ ".amazonq/", "an agent's settings" },
	{ ".continue/", "an agent's settings" },
	{ ".augment/", "an agent's settings" },
	{ ".factory/", "an agent's settings" },
	{ ".trae/", "an agent's settings" },
	{ ".claude.json", "an agent's settings" },
	{ ".claude-plugin/", "an agent's settings" },
	{ ".kilocode/", "an agent's settings" },
	{ ".kilocodemodes", "an agent's settings" },
	{ ".roomodes", "an agent's settings" },
	{ ".amp/", "an agent's settings" },
	{ ".warp/", "an agent's settings" },
	{ ".rovodev/", "an agent's settings" },
	{ ".vibe/", "an agent's settings" },
	{ ".grok/", "an agent's settings" },
	{ ".copilot/", "an agent's settings" },
	{ ".iflow/", "an agent's settings" },
	{ ".tabnine/", "an agent's settings" },
	/* The user's own agent follows them, and there is no sandbox then. */
	{ "claude.md", "instructs an agent" },
	{ "claude.local.md", "instructs an agent" },
	{ "agent.md", "instructs an agent" },
	{ "agents.md", "instructs an agent" },
	{ "agents.override.md", "instructs an agent" },
	{ "gemini.md", "instructs an agent" },
	{ "qwen.md", "instructs an agent" },
	{ ".agents/", "instructs an agent" },
	{ ".cursorrules", "instructs an agent" },
	{ ".windsurfrules", "instructs an agent" },
	{ ".goosehints", "instructs an agent" },
	{ ".junie/", "instructs an agent" },
	{ ".openhands/", "instructs an agent" },
	{ ".clinerules", "instructs an agent" },
	{ ".clinerules/", "instructs an agent" },
	{ ".roorules*", "instructs an agent" },
	{ ".rules", "instructs an agent" },
	{ ".agent/", "instructs an agent" },
	{ "warp.md", "instructs an agent" },
	{ ".m9mignore", "says what is hidden from agents" },
	{ ".vscode/", "an editor's settings" },
	{ ".idea/", "an editor's settings" },
	{ ".zed/", "an editor's settings" },
	{ ".helix/", "an editor's settings" },
	{ ".vim/", "an editor's settings" },
	{ ".devcontainer/", "an editor's settings" },
	{ ".devcontainer.json", "an editor's settings" },
	{ ".gitpod.*", "is run where a workspace is opened" },
	{ ".replit", "is run where a workspace is opened" },
	{ ".idx/", "is run where a workspace is opened" },
	{ ".codesandbox/", "is run where a workspace is opened" },
	{ ".vimrc", "an editor's settings" },
	{ ".exrc", "an editor's settings" },
	{ ".nvimrc", "an editor's settings" },
	{ ".nvim.lua", "an editor's settings" },
	{ ".lazy.lua", "an editor's settings" },
	{ ".dir-locals.el", "an editor's settings" },
	{ ".dir-locals-2.el", "an editor's settings" },
	{ ".ycm_extra_conf.py", "an editor's settings" },
	{ ".envrc", "is run by direnv" },
	{ ".direnv/", "is run by direnv" },
	{ ".direnvrc", "is run by direnv" },
	{ ".autoenv*", "is run by autoenv" },
	{ ".mise.*", "is obeyed by mise" },
	{ "mise.*", "is obeyed by mise" },
	{ ".mise/", "is obeyed by mise" },
	{ "mise/config.*", "is obeyed by mise" },
	{ ".config/mise/", "is obeyed by mise" },
	{ ".config/mise.*", "is obeyed by mise" },
	{ ".tool-versions", "is obeyed by asdf and mise" },
	{ ".cargo/config", "is obeyed by cargo" },
	{ ".cargo/config.toml", "is obeyed by cargo" },
	{ "rust-toolchain", "is obeyed by rustup" },
	{ "rust-toolchain.toml", "is obeyed by rustup" },
	{ ".npmrc", "is obeyed by npm" },
	{ ".pnpmfile.*", "is run by pnpm" },
	{ ".yarnrc", "is obeyed by yarn" },
	{ ".yarnrc.yml", "is obeyed by yarn" },
	{ ".yarn/releases/", "is run by yarn" },
	{ ".yarn/plugins/", "is run by yarn" },
	{ "bunfig.toml", "is obeyed by bun" },
	{ ".mvn/", "is obeyed by maven" },
	{ "gradle/wrapper/", "is obeyed by gradle" },
	{ ".bazelrc", "is obeyed by bazel" },
	{ ".bazeliskrc", "is obeyed by bazel" },
	{ ".jvmopts", "is obeyed by sbt" },
	{ ".sbtopts", "is obeyed by sbt" },
	{ ".gdbinit", "is run by a debugger" },
	{ ".lldbinit", "is run by a debugger" },
	{ ".pdbrc", "is run by a debugger" },
	{ ".perldb", "is run by a debugger" },
	{ ".rprofile", "is run by an interpreter" },
	{ ".renviron", "is obeyed by an interpreter" },
	{ ".rdata", "is run by an interpreter" },
	{ ".irbrc", "is run by an interpreter" },
	{ ".pryrc", "is run by an interpreter" },
	{ ".ghci", "is run by an interpreter" },
	{ ".ocamlinit", "is run by an interpreter" },
	{ ".octaverc", "is run by an interpreter" },
	{ ".iex.exs", "is run by an interpreter" },
	{ ".github/workflows/", "is run by a CI" },
	{ ".github/actions/", "is run by a CI" },
	{ ".github/hooks/", "an agent's settings" },
	{ ".github/copilot-instructions.md", "instructs an agent" },
	{ ".github/instructions/", "instructs an agent" },
	{ ".gitea/", "is run by a CI" },
	{ ".forgejo/", "is run by a CI" },
	{ ".circleci/", "is run by a CI" },
	{ ".buildkite/", "is run by a CI" },
	{ ".gitlab-ci.*", "is run by a CI" },
	{ ".travis.*", "is run by a CI" },
	{ ".drone.*", "is run by a CI" },
	{ ".woodpecker.*", "is run by a CI" },
	{ ".woodpecker/", "is run by a CI" },
	{ ".cirrus.*", "is run by a CI" },
	{ ".semaphore/", "is run by a CI" },
	{ ".teamcity/", "is run by a CI" },
	{ ".appveyor.*", "is run by a CI" },
	{ "appveyor.*", "is run by a CI" },
	{ "azure-pipelines.*", "is run by a CI" },
	{ "bitbucket-pipelines.*", "is run by a CI" },
	{ "jenkinsfile", "is run by a CI" },
	{ ".build.yml", "is run by a CI" },
	{ ".builds/", "is run by a CI" },
	{ "buildspec.*", "is run by a CI" },
	{ "cloudbuild.*", "is run by a CI" },
	{ "bitrise.*", "is run by a CI" },
	{ "codemagic.*", "is run by a CI" },
	{ ".taskcluster.*", "is run by a CI" },
	{ ".tekton/", "is run by a CI" },
	{ ".vela.*", "is run by a CI" },
	{ ".zuul.*", "is run by a CI" },
	{ ".zuul.d/", "is run by a CI" },
	{ "zuul.d/", "is run by a CI" },
	{ ".readthedocs.*", "is run by a CI" },
	{ ".scrutinizer.*", "is run by a CI" },
	{ ".bashrc", "is run by a shell" },
	{ ".bash_profile", "is run by a shell" },
	{ ".bash_login", "is run by a shell" },
	{ ".bash_logout", "is run by a shell" },
	{ ".bash_aliases", "is run by a shell" },
	{ ".profile", "is run by a shell" },
	{ ".zshrc", "is run by a shell" },
	{ ".zshenv", "is run by a shell" },
	{ ".zprofile", "is run by a shell" },
	{ ".zlogin", "is run by a shell" },
	{ ".zlogout", "is run by a shell" },
	{ ".kshrc", "is run by a shell" },
	{ ".mkshrc", "is run by a shell" },
	{ ".cshrc", "is run by a shell" },
	{ ".tcshrc", "is run by a shell" },
	{ ".login", "is run by a shell" },
	{ ".logout", "is run by a shell" },
	{ ".config/fish/", "is run by a shell" },
	{ ".inputrc", "is obeyed by a shell" },
	{ ".ssh/", "is obeyed by ssh" },
	{ ".pam_environment", "is obeyed at login" },
	{ ".xprofile", "is run at login" },
	{ ".xsession*", "is run at login" },
	{ ".xinitrc", "is run at login" },
	{ ".config/autostart/", "is run at login" },
	{ ".config/systemd/", "is run at login" },
	{ ".config/environment.d/", "is obeyed at login" },
	{ ".tmux.conf", "is run by a terminal" },
	{ ".screenrc", "is run by a terminal" },
};

/* Beside a HEAD only: elsewhere they are names like any other. */
static const struct row beside_head[] = {
	{ "config", "git's configuration, which can name commands" },
	{ "config.worktree", "git's configuration, which can name commands" },
	{ "commondir", "says where git's directory is" },
	{ "gitdir", "says where git's directory is" },
	{ "hooks/", "a git hook" },
	{ "info/", "git's attributes, which choose filters" },
	{ "objects/", repository },
	{ "refs/", repository },
};

/* --- names that are the same to some file system ------------------------- */

/* The letters that ext4, HFS+ and APFS fold into ones of ASCII. */
static const struct {
	uint32_t letter;
	const char *plain;
} folded[] = {
	{ 0xdf, "ss" },   { 0x17f, "s" },    { 0x1e9e, "ss" },
	{ 0x212a, "k" },  { 0xfb00, "ff" },  { 0xfb01, "fi" },
	{ 0xfb02, "fl" }, { 0xfb03, "ffi" }, { 0xfb04, "ffl" },
	{ 0xfb05, "st" }, { 0xfb06, "st" },
};

/* Unicode's Default_Ignorable_Code_Point: to them, as if it was not there. */
static const struct {
	uint32_t first, last;
} ignored[] = {
	{ 0xad, 0xad },       { 0x34f, 0x34f },     { 0x61c, 0x61c },
	{ 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
	{ 0x200b, 0x200f },   { 0x202a, 0x202e },   { 0x2060, 0x206f },
	{ 0x3164, 0x3164 },   { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 },   { 0xfff0, 0xfff8 },   { 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};

/* What stands for the code point, at most three bytes. */
static size_t put_plain(char *out, uint32_t cp, const char *bytes, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (cp >= ignored[i].first && cp <= ignored[i].last)
			return 0;
	for (size_t i = 0; i < ARRAY_SIZE(folded); i++)
		if (cp == folded[i].letter) {
			bytes = folded[i].plain;
			n = strlen(bytes);
		}
	memcpy(out, bytes, n);
	return n;
}

/* The length of a part without what NTFS and FAT drop of it: its stream, and the
 * dots and spaces at its end. */
static size_t kept_length(const char *part, size_t len)
{
	size_t n = 0;

	while (n < len && part[n] != ':')
		n++;
	while (n > 0 && (part[n - 1] == '.' || part[n - 1] == ' '))
		n--;
	return n;
}

/* A path as the least particular file system has it; owned. */
static char *plain_path(const char *path)
{
	size_t len = strlen(path), out = 0, part = 0, n;
	/* A letter of two bytes can become two. */
	char *plain = xcalloc(len + 1, 1);
	uint32_t cp;

	for (size_t at = 0; at < len; at += n) {
		unsigned char c = (unsigned char)path[at];

		n = 1;
		if (c == '/') {
			out = part + kept_length(plain + part, out - part);
			plain[out++] = '/';
			part = out;
		} else if (c < 0x80) {
			plain[out++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20
								   : c);
		} else {
			n = text_decode(path + at, len - at, &cp);
			out += put_plain(plain + out, cp, path + at, n);
		}
	}
	plain[part + kept_length(plain + part, out - part)] = '\0';
	return plain;
}

/* Where names are short too, GIT~1 is .git, and CLAUDE~1 is .claude. */
static bool is_short_name(const char *rest)
{
	size_t n = strcspn(rest, "~/.");
	size_t digits = rest[n] == '~' ? strspn(rest + n + 1, "0123456789") : 0;
	const char *end = rest + n + 1 + digits;

	if (n == 0 || digits == 0 || n + 1 + digits > 8)
		return false;
	if (*end == '.') {
		size_t extension = strcspn(++end, "./");

		if (extension > 3)
			return false;
		end += extension;
	}
	return *end == '\0' || *end == '/';
}

/* --- looks ---------------------------------------------------------------- */

static bool starts(const char *rest, const char *name)
{
	size_t n;

	/* Most differ at once, and a list of changes may be long. */
	if (*rest != *name)
		return false;
	n = strlen(name);
	if (name[n - 1] == '*')
		return strncmp(rest, name, n - 1) == 0 &&
		       strchr(rest + n - 1, '/') == NULL;
	if (strncmp(rest, name, n) != 0)
		return false;
	return name[n - 1] == '/' || rest[n] == '\0';
}

/*
 * In a submodule's or a worktree's directory, whose name may be of any parts: what
 * changes with each look of git's there.  Nothing of the kind is obeyed.
 */
static bool is_record(const char *path)
{
	static const char *const folders[] = { "/logs/", "/objects/",
					       "/refs/" };
	static const char *const files[] = { "commit_editmsg", "fetch_head",
					     "head",           "index",
					     "orig_head",      "packed-refs" };
	const char *name = path_base(path);

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (strstr(path, folders[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(name, files[i]) == 0)
			return true;
	return false;
}

/* The part after this one, or NULL. */
static const char *next_part(const char *rest)
{
	const char *slash = strchr(rest, '/');

	return slash ? slash + 1 : NULL;
}

static const char *of_row(const struct row *row, const char *rest)
{
	bool other = row->what == submodule || row->what == worktree;

	return other && is_record(rest) ? records : row->what;
}

const char *review_path(const char *path)
{
	auto_free char *plain = plain_path(path);

	for (const char *rest = plain; rest; rest = next_part(rest)) {
		for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
			if (starts(rest, controls[i].name))
				return of_row(&controls[i], rest);
		if (is_short_name(rest))
			return "can be a short name of what tools obey";
	}
	return NULL;
}

const char *review_link(const char *path)
{
	auto_free char *plain = plain_path(path);
	const char *end = plain + strlen(plain);

	for (const char *rest = plain; rest; rest = next_part(rest)) {
		size_t n = (size_t)(end - rest);

		for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
			/* As in starts(). */
			if (*controls[i].name == *rest &&
			    strncmp(controls[i].name, rest, n) == 0 &&
			    controls[i].name[n] == '/')
				return controls[i].what;
	}
	return NULL;
}

bool review_is_head(const char *name)
{
	auto_free char *plain = plain_path(name);

	return strcmp(plain, "head") == 0;
}

const char *review_git_part(const char *rest, bool *obeyed)
{
	/* This part alone: it is asked of each of a path, which may be long. */
	size_t len = strcspn(rest, "/");
	auto_free char *part = xstrndup(rest, len);
	auto_free char *plain = plain_path(part);

	for (size_t i = 0; i < ARRAY_SIZE(beside_head); i++) {
		const char *name = beside_head[i].name;
		size_t n = strcspn(name, "/");

		/* By itself, a folder is an empty one, or a link to one. */
		if (strncmp(plain, name, n) != 0 || plain[n] != '\0' ||
		    !(rest[len] == '\0' || rest[len] == name[n]))
			continue;
		*obeyed = beside_head[i].what != repository;
		return beside_head[i].what;
	}
	return NULL;
}

bool review_is_git_record(const char *path)
{
	return review_path(path) == records;
}

bool review_link_leaves(const char *path, const char *target)
{
	size_t depth = 0;
	bool named = false;

	if (*target == '/')
		return true;
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	for (const char *p = target; *p; p += strcspn(p, "/"), p += *p == '/') {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			/* That name may itself be a link. */
			if (depth == 0 || named)
				return true;
			depth--;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			depth++;
			named = true;
		}
	}
	return false;
}
