//! The number and key by which another connection may cancel a session's statement.
//!
//! The number ("pid") tells core and place; the key is derived from it, the login's serial number
//! and a secret of this run of the server, so that a session keeps none. Compared in constant time.

use ring::hmac;
use ring::rand::SecureRandom;
use subtle::ConstantTimeEq;

/// Bits of the number that tell the place within a core; the 10 above them tell the core.
const PLACE_BITS: u32 = 21;

/// The most cores whose sessions can be told apart; below the sign bit.
pub const CORES_MAX: u16 = 1 << 10;

/// The most sessions of one core at once.
pub const SESSIONS_MAX: usize = 1 << PLACE_BITS;

/// The bytes of a key in protocol 3.0, and from 3.2 on.
pub const KEY_BYTES_SHORT: usize = 4;
/// See [`KEY_BYTES_SHORT`].
pub const KEY_BYTES_LONG: usize = 32;

/// Where a session is: its core and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BackendPid {
    /// The core.
    pub core: u16,
    /// The place in its registry.
    pub place: u32,
}

impl BackendPid {
    /// From BackendKeyData's number; None for one that was never given out.
    pub fn from_number(number: i32) -> Option<BackendPid> {
        // One is added so that no session has number 0, which clients take for none.
        let number = u32::try_from(number).ok()?.checked_sub(1)?;
        let pid = BackendPid {
            core: u16::try_from(number >> PLACE_BITS).ok()?,
            place: number & ((1 << PLACE_BITS) - 1),
        };
        pid.is_possible().then_some(pid)
    }

    /// Whether a session may be there.
    fn is_possible(self) -> bool {
        self.core < CORES_MAX && (self.place as usize) < SESSIONS_MAX - 1
    }

    /// BackendKeyData's number; also pg_backend_pid().
    pub fn number(self) -> i32 {
        assert!(self.is_possible());
        i32::try_from(((u32::from(self.core)) << PLACE_BITS | self.place) + 1)
            .expect("31 bits are enough")
    }
}

/// The secret that keys are derived from; one for each core.
pub struct CancelSecret(hmac::Key);

/// The key of one session.
#[derive(Clone, Copy)]
pub struct CancelKey([u8; KEY_BYTES_LONG]);

impl CancelSecret {
    /// A new one.
    ///
    /// # Panics
    /// If the kernel gives no random bytes.
    pub fn random(random: &dyn SecureRandom) -> CancelSecret {
        let mut secret = [0; 32];
        random
            .fill(&mut secret)
            .expect("the kernel's random generator answers");
        CancelSecret(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }

    /// The key of the session that took this place as the core's login number `serial`.
    pub fn key(&self, pid: BackendPid, serial: u64) -> CancelKey {
        let mut message = [0; 12];
        message[..4].copy_from_slice(&pid.number().to_be_bytes());
        message[4..].copy_from_slice(&serial.to_be_bytes());
        let tag = hmac::sign(&self.0, &message);
        CancelKey(tag.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

impl CancelKey {
    /// As BackendKeyData tells it under this minor version of the protocol.
    pub fn bytes(&self, minor: u16) -> &[u8] {
        if minor >= 2 {
            &self.0
        } else {
            &self.0[..KEY_BYTES_SHORT]
        }
    }

    /// Whether the key presented is this one, in either length it may have been told in.
    pub fn matches(&self, presented: &[u8]) -> bool {
        match presented.len() {
            KEY_BYTES_SHORT => self.0[..KEY_BYTES_SHORT].ct_eq(presented).into(),
            KEY_BYTES_LONG => self.0.ct_eq(presented).into(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_core_and_place_and_is_never_zero() {
        for (core, place) in [(0, 0), (1, 0), (0, 99), (1_023, 2_000_000)] {
            let pid = BackendPid { core, place };
            assert!(pid.number() > 0);
            assert_eq!(BackendPid::from_number(pid.number()), Some(pid));
        }
        assert_eq!(BackendPid::from_number(0), None);
        assert_eq!(BackendPid::from_number(-7), None);
        // The last place of a core, which is never given.
        assert_eq!(BackendPid::from_number(1 << PLACE_BITS), None);
    }

    #[test]
    fn a_key_fits_its_own_login_only() {
        let secret = CancelSecret::random(&ring::rand::SystemRandom::new());
        let pid = BackendPid { core: 1, place: 5 };
        let key = secret.key(pid, 1);
        assert!(key.matches(key.bytes(0)));
        assert!(key.matches(key.bytes(2)));
        assert_eq!(key.bytes(2).len(), KEY_BYTES_LONG);
        let next_login = secret.key(pid, 2);
        assert!(!next_login.matches(key.bytes(2)));
        assert!(!key.matches(&[]));
        assert!(!key.matches(&key.bytes(2)[..31]));
    }
}
