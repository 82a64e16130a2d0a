//! How much memory the control groups of this process leave it: what a container may use is less than what the
//! machine has.
//!
//! Groups form a tree, and each may have a limit; the tightest counts. Both versions of the interface can be there
//! at once. (Limits of processor time are known to `std::thread::available_parallelism`.)

use std::fs;
use std::path::{Path, PathBuf};

/// The files of one version of the interface.
struct Version {
    /// What `/proc/self/cgroup` calls the controller of memory; there is only one tree, without a name, in version 2.
    controller: &'static str,
    limits: &'static [&'static str],
    usage: &'static str,
    /// Page cache that can be given up, by its names in `memory.stat`.
    cache: [&'static str; 2],
}

const V1: Version = Version {
    controller: "memory",
    limits: &["memory.limit_in_bytes"],
    usage: "memory.usage_in_bytes",
    cache: ["total_active_file ", "total_inactive_file "],
};

const V2: Version = Version {
    controller: "",
    limits: &["memory.max", "memory.high"],
    usage: "memory.current",
    cache: ["active_file ", "inactive_file "],
};

/// Bytes that this process may still use, the page cache of its groups among them; none if nothing limits it.
pub fn available_memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    available(&groups, &mounts)
}

/// The same, for a process whose `/proc/self/cgroup` and `/proc/self/mountinfo` hold these texts.
fn available(groups: &str, mounts: &str) -> Option<u64> {
    let of_line = |line: &str| {
        let (mount, version) = mount_of(line)?;
        let path = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let listed = fields.next()?.split(',').any(|name| name == version.controller);
            fields.next().filter(|_| listed)
        })?;
        mount.levels(Path::new(path)).filter_map(|dir| version.left(&dir)).min()
    };
    mounts.lines().filter_map(of_line).min()
}

/// Where a tree of groups, or a part of it, can be seen.
struct Mount<'a> {
    /// The group that is seen at `point`.
    root: &'a Path,
    point: &'a Path,
}

/// What a line of `mountinfo` says, if it is about groups that limit memory.
fn mount_of(line: &str) -> Option<(Mount<'_>, &'static Version)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3).map(Path::new);
    let mount = Mount { root: place.next()?, point: place.next()? };
    let mut kind = kind.split(' ');
    match (kind.next()?, kind.nth(1)) {
        ("cgroup2", _) => Some((mount, &V2)),
        ("cgroup", Some(options)) if options.split(',').any(|o| o == "memory") => Some((mount, &V1)),
        _ => None,
    }
}

impl Mount<'_> {
    /// The directories of group `path` and of those it is in, as far as they can be seen. Where the path does not
    /// lead there (a container's own view of the tree is mounted), it is the group at the top.
    fn levels(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let below = path.strip_prefix(self.root).unwrap_or(Path::new(""));
        let below = below.to_str().filter(|path| !path.contains("..")).map_or(Path::new(""), Path::new);
        below.ancestors().map(|below| self.point.join(below)).collect::<Vec<_>>().into_iter()
    }
}

impl Version {
    /// What the limits of the group in `dir` leave; none if it has no limit.
    fn left(&self, dir: &Path) -> Option<u64> {
        let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let limit = self.limits.iter().filter_map(|name| number(name)).min()?;
        let used = number(self.usage)?;
        let stat = read("memory.stat").unwrap_or_default();
        let of = |line: &str| {
            self.cache.iter().find_map(|name| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        let cache = stat.lines().filter_map(of).fold(0, u64::saturating_add);
        Some(limit.saturating_sub(used.saturating_sub(cache)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of groups below a new directory: for each path, its files.
    fn tree(groups: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, files) in groups {
            let group = dir.path().join(path);
            fs::create_dir_all(&group).unwrap();
            files.iter().for_each(|(name, text)| fs::write(group.join(name), text).unwrap());
        }
        dir
    }

    fn v2(dir: &Path, root: &str) -> String {
        format!("29 22 0:26 {root} {} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", dir.display())
    }

    fn v1(dir: &Path, root: &str) -> String {
        format!("33 25 0:29 {root} {} rw shared:9 - cgroup cgroup rw,memory\n", dir.display())
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_counts() {
        let dir = tree(&[
            ("", &[("memory.current", "999999\n")]),
            ("a", &[("memory.max", "10000\n"), ("memory.high", "max\n"), ("memory.current", "9000\n")]),
            ("a/b", &[("memory.max", "max\n"), ("memory.high", "8000\n"), ("memory.current", "3000\n")]),
        ]);
        let mounts = v2(dir.path(), "/");
        assert_eq!(available("0::/a/b\n", &mounts), Some(1000));
        assert_eq!(available("0::/\n", &mounts), None);
        assert_eq!(available("0::/a/b\n", ""), None);
    }

    #[test]
    fn page_cache_is_not_in_the_way() {
        let stat = "anon 100\nfile 6000\ninactive_file 4000\nactive_file 1500\nshmem 500\n";
        let dir =
            tree(&[("a", &[("memory.max", "10000"), ("memory.current", "9000"), ("memory.stat", stat)])]);
        assert_eq!(available("0::/a\n", &v2(dir.path(), "/")), Some(6500));
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_top() {
        let dir = tree(&[("", &[("memory.max", "5000"), ("memory.current", "1000")])]);
        for (group, root) in [("0::/", "/"), ("0::/docker/1", "/docker/1"), ("0::/docker/1", "/docker/2")] {
            assert_eq!(available(group, &v2(dir.path(), root)), Some(4000), "{group} {root}");
        }
        assert_eq!(available("0::/../../etc", &v2(dir.path(), "/")), Some(4000));
    }

    #[test]
    fn both_versions_are_read() {
        let old = tree(&[
            ("", &[("memory.limit_in_bytes", "9223372036854771712"), ("memory.usage_in_bytes", "123")]),
            (
                "a",
                &[
                    ("memory.limit_in_bytes", "7000"),
                    ("memory.usage_in_bytes", "6500"),
                    ("memory.stat", "cache 3000\ntotal_inactive_file 200\ntotal_active_file 100\n"),
                ],
            ),
        ]);
        let new = tree(&[("", &[("cgroup.procs", "")])]);
        let mounts = v1(old.path(), "/") + &v2(new.path(), "/");
        let groups = "5:cpu,cpuacct:/x\n4:memory:/a\n0::/\n";
        assert_eq!(available(groups, &mounts), Some(800));
        assert!(available("4:memory:/\n", &mounts).is_some_and(|bytes| bytes > 1 << 60));
        // What another controller's tree has under these names is no limit.
        let other = tree(&[("a", &[("memory.limit_in_bytes", "10"), ("memory.usage_in_bytes", "10")])]);
        let mounts = mounts + &v1(other.path(), "/").replace("rw,memory", "rw,cpu,cpuacct");
        assert_eq!(available(groups, &mounts), Some(800));
    }
}
