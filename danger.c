/* SPDX-License-Identifier: MIT */
#include "danger.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"
#include "walk.h"

static const char shell[] = "a shell does whatever it is told, by itself";
static const char user[] = "it is there to get another user's rights";
static const char fetch[] = "it opens connections and fetches what it is told";
static const char install[] = "it fetches and runs other people's programs";

/* Patterns of fnmatch: versions are part of many names. */
static const struct {
	const char *name;
	const char *reason;
} dangerous[] = {
	{ "sh", shell },
	{ "static-sh", shell },
	{ "bash", shell },
	{ "bash-*", shell },
	{ "rbash", shell },
	{ "dash", shell },
	{ "ash", shell },
	{ "zsh", shell },
	{ "zsh-*", shell },
	{ "zsh[0-9]*", shell },
	{ "ksh", shell },
	{ "ksh[0-9]*", shell },
	{ "lksh", shell },
	{ "mksh*", shell },
	{ "oksh", shell },
	{ "rksh*", shell },
	{ "posh", shell },
	{ "sash", shell },
	{ "yash", shell },
	{ "csh", shell },
	{ "tcsh", shell },
	{ "bsd-csh", shell },
	{ "fish", shell },
	{ "nu", shell },
	{ "elvish", shell },
	{ "xonsh", shell },
	{ "pwsh", shell },
	{ "busybox", shell },
	{ "busybox-*", shell },
	{ "toybox", shell },
	{ "sudo", user },
	{ "su", user },
	{ "doas", user },
	{ "pkexec", user },
	{ "run0", user },
	{ "runuser", user },
	{ "sudo-rs", user },
	{ "su-rs", user },
	{ "curl", fetch },
	{ "wget", fetch },
	{ "wget2", fetch },
	{ "aria2c", fetch },
	{ "axel", fetch },
	{ "http", fetch }, /* HTTPie */
	{ "https", fetch },
	{ "xh", fetch },
	{ "nc", fetch },
	{ "nc.openbsd", fetch },
	{ "nc.traditional", fetch },
	{ "netcat", fetch },
	{ "ncat", fetch },
	{ "socat", fetch },
	{ "telnet", fetch },
	{ "ftp", fetch },
	{ "lftp", fetch },
	{ "lynx", fetch },
	{ "w3m", fetch },
	{ "pip", install },
	{ "pip[0-9]*", install },
	{ "pip-[0-9]*", install },
	{ "pipx", install },
	{ "pipenv", install },
	{ "pdm", install },
	{ "uv", install },
	{ "uvx", install },
	{ "easy_install*", install },
	{ "conda", install },
	{ "mamba", install },
	{ "micromamba", install },
	{ "poetry", install },
	{ "npm", install },
	{ "npx", install },
	{ "pnpm", install },
	{ "pnpx", install },
	{ "yarn", install },
	{ "yarnpkg", install },
	{ "corepack", install },
	{ "bunx", install },
	{ "cpan", install },
	{ "cpan[0-9]*", install },
	{ "cpanm", install },
	{ "luarocks*", install },
	{ "opam", install },
	{ "cargo", install },
	{ "bundle", install },
	{ "bundle[0-9]*", install },
	{ "bundler", install },
	{ "bundler[0-9]*", install },
	{ "pixi", install },
	{ "rye", install },
	{ "conan", install },
	{ "vcpkg", install },
	{ "spack", install },
	{ "gem", install },
	{ "gem[0-9]*", install },
	{ "composer", install },
	{ "apt", install },
	{ "apt-get", install },
	{ "aptitude", install },
	{ "nala", install },
	{ "dpkg", install },
	{ "rpm", install },
	{ "dnf", install },
	{ "dnf[0-9]", install },
	{ "microdnf", install },
	{ "tdnf", install },
	{ "rpm-ostree", install },
	{ "urpmi", install },
	{ "eopkg", install },
	{ "swupd", install },
	{ "pkcon", install },
	{ "yum", install },
	{ "zypper", install },
	{ "pacman", install },
	{ "apk", install },
	{ "emerge", install },
	{ "xbps-install", install },
	{ "snap", install },
	{ "flatpak", install },
	{ "brew", install },
	{ "nix", install },
	{ "nix-*", install },
	{ "guix", install },
};

const char *const program_folders[] = {
	"/usr/local/sbin",
	"/usr/local/bin",
	"/usr/sbin",
	"/usr/bin",
	"/sbin",
	"/bin",
	"/usr/games",
	"/usr/local/games",
	NULL,
};

const char *danger_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++)
		if (fnmatch(dangerous[i].name, name, 0) == 0)
			return dangerous[i].reason;
	return NULL;
}

static bool is_pattern(const char *name)
{
	return name[strcspn(name, "*?[")] != '\0';
}

static void add_found(struct dangers *dangers, const struct lookup *lookup,
		      const char *folder, const char *name, const char *reason)
{
	auto_free char *inside = path_join(folder, name);
	auto_free char *real = lookup_real(lookup, inside, NULL);
	struct danger_file found = { .reason = reason };

	if (real == NULL)
		return;
	found.path = xasprintf("%s%s", lookup->root, real);
	if (stat(found.path, &found.st) < 0) {
		free(found.path);
		return;
	}
	found.name = xstrdup(name);
	dangers->v = xrealloc_array(dangers->v, dangers->n + 1,
				    sizeof(*dangers->v));
	dangers->v[dangers->n++] = found;
}

/* A copy of bash-5.2 is no copy of what is called "bash-*". */
static void look_for_patterns(struct dangers *dangers,
			      const struct lookup *lookup, const char *folder,
			      int fd)
{
	int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk_reader reader;
	struct walk_name entry;

	if (list_fd < 0)
		return;
	walk_start(&reader, list_fd);
	while (walk_next(&reader, &entry) == 1)
		for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++) {
			const char *pattern = dangerous[i].name;

			if (pattern[0] == entry.name[0] &&
			    is_pattern(pattern) &&
			    fnmatch(pattern, entry.name, 0) == 0)
				add_found(dangers, lookup, folder, entry.name,
					  dangerous[i].reason);
		}
	walk_end(&reader);
}

static void look_in(struct dangers *dangers, const struct lookup *lookup,
		    const char *folder)
{
	auto_free char *path = xasprintf("%s%s", lookup->root, folder);
	auto_fd int fd = open(path,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A look at the name first: most are not there. */
	for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++)
		if (!is_pattern(dangerous[i].name) &&
		    faccessat(fd, dangerous[i].name, F_OK,
			      AT_SYMLINK_NOFOLLOW) == 0)
			add_found(dangers, lookup, folder, dangerous[i].name,
				  dangerous[i].reason);
	look_for_patterns(dangers, lookup, folder, fd);
}

void dangers_find(struct dangers *dangers, const struct lookup *lookup)
{
	*dangers = (struct dangers){ 0 };
	for (size_t i = 0; program_folders[i]; i++)
		look_in(dangers, lookup, program_folders[i]);
}

void dangers_free(struct dangers *dangers)
{
	for (size_t i = 0; i < dangers->n; i++) {
		free(dangers->v[i].name);
		free(dangers->v[i].path);
	}
	free(dangers->v);
	*dangers = (struct dangers){ 0 };
}

/* Of files of one size. */
static bool same_bytes(const char *one, const char *other)
{
	auto_fd int a = open(one, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	auto_fd int b = open(other, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char left[16384], right[sizeof(left)];
	ssize_t n;

	if (a < 0 || b < 0)
		return false;
	while ((n = read(a, left, sizeof(left))) > 0)
		if (read(b, right, sizeof(right)) != n ||
		    memcmp(left, right, (size_t)n) != 0)
			return false;
	return n == 0;
}

const struct danger_file *danger_by_file(const struct dangers *dangers,
					 const char *path,
					 const struct stat *st)
{
	for (size_t i = 0; i < dangers->n; i++) {
		const struct danger_file *d = &dangers->v[i];

		if (d->st.st_dev == st->st_dev && d->st.st_ino == st->st_ino)
			return d;
		if (st->st_size > 0 && d->st.st_size == st->st_size &&
		    S_ISREG(d->st.st_mode) && same_bytes(d->path, path))
			return d;
	}
	return NULL;
}
