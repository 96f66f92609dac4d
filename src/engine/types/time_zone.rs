//! Offsets of a time zone: from UTC and from local time, as PostgreSQL resolves them.

use super::calendar::{DAY, Date, SECOND};
use chrono::{NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

/// Unix seconds from which the zone database is asked; before, the first rule holds.
const SECONDS_MIN: i64 = -200_000 * 31_556_952;

/// The last year that the zone database knows. Its rules go on, as PostgreSQL has it: a later year has
/// the offsets of one of the 28 before that has the same days of the week.
const YEAR_MAX: i64 = 2099;

/// When the year after it begins.
const KNOWN_UNTIL: i64 = 4_102_444_800 * SECOND;

fn naive(microseconds: i64) -> NaiveDateTime {
    let microseconds = match microseconds < KNOWN_UNTIL {
        true => microseconds,
        false => {
            let year = Date::from_days(microseconds.div_euclid(DAY)).year;
            microseconds - (first_day(year) - first_day(alike(year))) * DAY
        }
    };
    let seconds = microseconds.div_euclid(SECOND).max(SECONDS_MIN);
    chrono::DateTime::from_timestamp(seconds, 0)
        .expect("the clamp keeps within chrono's years")
        .naive_utc()
}

/// The year among those that the zone database knows last whose days have the same names.
fn alike(year: i64) -> i64 {
    let shape = |year| {
        let (first, next) = (first_day(year), first_day(year + 1));
        (first.rem_euclid(7), next - first)
    };
    let mut known = YEAR_MAX - 27..=YEAR_MAX;
    known
        .find(|known| shape(*known) == shape(year))
        .unwrap_or(YEAR_MAX)
}

fn first_day(year: i64) -> i64 {
    let date = Date {
        year,
        month: 1,
        day: 1,
    };
    date.to_days()
}

/// Seconds east of UTC at this instant (Unix microseconds).
#[inline]
pub fn offset_at(zone: Tz, instant: i64) -> i32 {
    if zone == Tz::UTC {
        return 0;
    }
    zone.offset_from_utc_datetime(&naive(instant))
        .fix()
        .local_minus_utc()
}

/// Seconds east of UTC at this local time (microseconds since local 1970). A time that occurs twice
/// means standard time (the later instant); one that never occurs is read with the offset from
/// before the gap: PostgreSQL's DetermineTimeZoneOffset.
pub fn offset_of_local(zone: Tz, local: i64) -> i32 {
    if zone == Tz::UTC {
        return 0;
    }
    match zone.offset_from_local_datetime(&naive(local)) {
        chrono::MappedLocalTime::Single(offset) => offset.fix().local_minus_utc(),
        chrono::MappedLocalTime::Ambiguous(_, latest) => latest.fix().local_minus_utc(),
        chrono::MappedLocalTime::None => {
            // A day earlier is before the gap, whichever side of UTC the zone is on.
            offset_at(zone, local - DAY)
        }
    }
}

/// What clocks of the zone show at this instant (Unix microseconds), as microseconds since local 1970.
pub fn local_at(zone: Tz, instant: i64) -> i64 {
    instant + i64::from(offset_at(zone, instant)) * SECOND
}

/// The instant that a local time is: as [`offset_of_local`].
pub fn instant_of_local(zone: Tz, local: i64) -> i64 {
    local - i64::from(offset_of_local(zone, local)) * SECOND
}

/// What the zone's time is called at this instant: CET, CEST, +03.
pub fn name_at(zone: Tz, instant: i64) -> Option<String> {
    let offset = zone.offset_from_utc_datetime(&naive(instant));
    offset.abbreviation().map(str::to_owned)
}

/// The zone of this IANA name, whatever its case.
pub fn by_name(name: &str) -> Option<Tz> {
    match name.parse() {
        Ok(zone) => Some(zone),
        Err(_) => chrono_tz::TZ_VARIANTS
            .iter()
            .find(|zone| zone.name().eq_ignore_ascii_case(name))
            .copied(),
    }
}

/// Seconds east of UTC of the abbreviations most used (PostgreSQL's `Default` set).
pub fn abbreviation(word: &str) -> Option<i32> {
    const HOUR: i32 = 3_600;
    const ABBREVIATIONS: &[(&str, i32)] = &[
        ("z", 0),
        ("zulu", 0),
        ("utc", 0),
        ("ut", 0),
        ("gmt", 0),
        ("uct", 0),
        ("wet", 0),
        ("west", HOUR),
        ("bst", HOUR),
        ("cet", HOUR),
        ("met", HOUR),
        ("mez", HOUR),
        ("cest", 2 * HOUR),
        ("mest", 2 * HOUR),
        ("mesz", 2 * HOUR),
        ("eet", 2 * HOUR),
        ("eest", 3 * HOUR),
        ("msk", 3 * HOUR),
        ("pkt", 5 * HOUR),
        ("ict", 7 * HOUR),
        ("awst", 8 * HOUR),
        ("jst", 9 * HOUR),
        ("kst", 9 * HOUR),
        ("aest", 10 * HOUR),
        ("aedt", 11 * HOUR),
        ("nzst", 12 * HOUR),
        ("nzdt", 13 * HOUR),
        ("est", -5 * HOUR),
        ("edt", -4 * HOUR),
        ("cst", -6 * HOUR),
        ("cdt", -5 * HOUR),
        ("mst", -7 * HOUR),
        ("mdt", -6 * HOUR),
        ("pst", -8 * HOUR),
        ("pdt", -7 * HOUR),
        ("akst", -9 * HOUR),
        ("akdt", -8 * HOUR),
        ("hst", -10 * HOUR),
        ("brt", -3 * HOUR),
        ("art", -3 * HOUR),
        ("clt", -4 * HOUR),
    ];
    ABBREVIATIONS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, offset)| *offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::types::calendar::HOUR;

    fn local(month: u32, day: u32, hour: i64) -> i64 {
        Date {
            year: 2024,
            month,
            day,
        }
        .to_days()
            * DAY
            + hour * HOUR
            + HOUR / 2
    }

    #[test]
    fn gaps_and_repeated_hours_resolve_as_postgresql_does() {
        let berlin = Tz::Europe__Berlin;
        // 2024-03-31 02:30 never was, 2024-10-27 02:30 was twice.
        assert_eq!(offset_of_local(berlin, local(3, 31, 2)), 3_600);
        assert_eq!(offset_of_local(berlin, local(10, 27, 2)), 3_600);
        assert_eq!(offset_of_local(berlin, local(7, 1, 12)), 7_200);
        assert_eq!(offset_at(berlin, local(7, 1, 12)), 7_200);
        assert_eq!(by_name("europe/berlin"), Some(berlin));
    }

    #[test]
    fn the_last_rules_go_on_for_ever() {
        let berlin = Tz::Europe__Berlin;
        for year in [2099, 2100, 2101, 2104, 2130, 2400, 9_999, 294_000] {
            let day = |month, day| Date { year, month, day }.to_days() * DAY;
            assert_eq!(offset_at(berlin, day(1, 15)), 3_600, "{year}");
            assert_eq!(offset_at(berlin, day(7, 1)), 7_200, "{year}");
            // The last Sunday of March lies between the 25th and the 31st.
            assert_eq!(offset_at(berlin, day(3, 25) - 1), 3_600, "{year}");
            assert_eq!(offset_at(berlin, day(4, 1)), 7_200, "{year}");
        }
    }
}
