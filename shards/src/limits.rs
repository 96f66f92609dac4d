//! What the system must give, looked at before anything starts.

use crate::error::{StartError, StartWarning};
use crate::net::EXCESS_CONNECTIONS_MAX;
use crate::options::Options;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The oldest kernel whose io_uring has what the socket ring uses (DEFER_TASKRUN).
const KERNEL_MIN: (u32, u32) = (6, 1);

/// What the executor needs to lock at all.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Descriptors that a core uses itself: its rings, eventfds and sockets.
const DESCRIPTORS_A_CORE: u64 = 16;

/// Descriptors left for the program above: its store, its log, its other connections.
const DESCRIPTORS_FOR_THE_PROGRAM: u64 = 256;

/// What was found, and what follows.
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    pub(crate) warnings: Vec<StartWarning>,
}

/// Raises what may be raised, and looks at the rest.
pub(crate) fn check(options: &Options, cores: usize) -> Result<Limits, StartError> {
    check_kernel(&rustix::system::uname().release().to_string_lossy())?;
    let memlock = raise(Resource::Memlock);
    if let Some(found_bytes) = memlock
        && found_bytes < MEMLOCK_BYTES_MIN
    {
        return Err(StartError::MemlockTooLow {
            found_bytes,
            needed_bytes: MEMLOCK_BYTES_MIN,
        });
    }
    let listeners: usize = options
        .listeners
        .iter()
        .map(|one| one.addresses.len())
        .sum();
    let reserved = DESCRIPTORS_FOR_THE_PROGRAM
        + cores as u64 * (DESCRIPTORS_A_CORE + listeners as u64)
        + EXCESS_CONNECTIONS_MAX as u64;
    let mut warnings = Vec::new();
    let connections_max = descriptors(
        raise(Resource::Nofile),
        options.connections_max,
        reserved,
        &mut warnings,
    )?;
    locked_memory(
        memlock,
        cores as u64 * options.io_memory_bytes as u64,
        connections_max,
        &mut warnings,
    );
    Ok(Limits {
        connections_max,
        warnings,
    })
}

/// Refuses a kernel without what the ring needs. A release that cannot be read is let through:
/// setting the ring up then tells.
fn check_kernel(release: &str) -> Result<(), StartError> {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Ok(());
    };
    if (major, minor) < KERNEL_MIN {
        return Err(StartError::KernelTooOld {
            found: release.to_owned(),
        });
    }
    Ok(())
}

/// Raises the soft limit to the hard one; what it is then, or nothing for unlimited.
fn raise(resource: Resource) -> Option<u64> {
    let before = getrlimit(resource);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if before.current != before.maximum && setrlimit(resource, raised).is_ok() {
        return before.maximum;
    }
    before.current
}

/// How many connections the descriptors are enough for.
fn descriptors(
    found: Option<u64>,
    asked: usize,
    reserved: u64,
    warnings: &mut Vec<StartWarning>,
) -> Result<usize, StartError> {
    let needed = asked as u64 + reserved;
    let Some(found) = found.filter(|&found| found < needed) else {
        return Ok(asked);
    };
    let connections_max = found.saturating_sub(reserved) as usize;
    if connections_max == 0 {
        return Err(StartError::DescriptorsTooFew {
            found,
            needed: reserved + 1,
        });
    }
    warnings.push(StartWarning {
        limit: "RLIMIT_NOFILE",
        found,
        needed,
        connections_max,
        hint: format!(
            "raise it with `ulimit -Hn {needed}`, or LimitNOFILE={needed} in the unit file"
        ),
    });
    Ok(connections_max)
}

/// Says when the executors' file buffers cannot be locked: they then work without.
fn locked_memory(
    found: Option<u64>,
    needed: u64,
    connections_max: usize,
    warnings: &mut Vec<StartWarning>,
) {
    let Some(found) = found.filter(|&found| found < needed) else {
        return;
    };
    let kibibytes = needed.div_ceil(1024);
    warnings.push(StartWarning {
        limit: "RLIMIT_MEMLOCK",
        found,
        needed,
        connections_max,
        hint: format!(
            "raise it with `ulimit -l {kibibytes}`, or LimitMEMLOCK={needed} in the unit file"
        ),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_their_first_two_numbers() {
        assert!(check_kernel("6.1.0-18-amd64").is_ok());
        assert!(check_kernel("6.18.44").is_ok());
        assert!(check_kernel("7.0-rc1").is_ok());
        assert!(check_kernel("homemade").is_ok());
        for old in ["6.0.9", "5.15.0-91-generic", "5.10"] {
            assert!(matches!(
                check_kernel(old),
                Err(StartError::KernelTooOld { .. })
            ));
        }
    }

    #[test]
    fn too_few_descriptors_lower_the_limit_and_say_how_to_raise_it() {
        let mut warnings = Vec::new();
        let connections_max = descriptors(Some(4096), 10_000, 400, &mut warnings);
        assert_eq!(connections_max.expect("enough for some"), 3696);
        assert_eq!(warnings[0].limit, "RLIMIT_NOFILE");
        assert_eq!(warnings[0].needed, 10_400);
        assert!(warnings[0].hint.contains("ulimit -Hn 10400"));
    }

    #[test]
    fn enough_descriptors_are_no_warning() {
        let mut warnings = Vec::new();
        let exactly = descriptors(Some(10_400), 10_000, 400, &mut warnings);
        assert_eq!(exactly.expect("enough"), 10_000);
        let unlimited = descriptors(None, 10_000, 400, &mut warnings);
        assert_eq!(unlimited.expect("enough"), 10_000);
        assert!(warnings.is_empty());
    }

    #[test]
    fn no_descriptors_at_all_refuse_the_start() {
        let none = descriptors(Some(400), 10_000, 400, &mut Vec::new());
        assert!(matches!(none, Err(StartError::DescriptorsTooFew { .. })));
    }

    #[test]
    fn low_locked_memory_is_a_warning() {
        let mut warnings = Vec::new();
        locked_memory(Some(1 << 20), 1 << 21, 10, &mut warnings);
        assert_eq!(warnings[0].limit, "RLIMIT_MEMLOCK");
        assert!(warnings[0].hint.contains("ulimit -l 2048"));
    }
}
