//! The proleptic Gregorian calendar and the clock: days and microseconds against their fields.
//!
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

/// Microseconds of a second, a minute, an hour, a day.
pub const SECOND: i64 = 1_000_000;
/// Of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Of a day.
pub const DAY: i64 = 24 * HOUR;

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub const POSTGRESQL_EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub const POSTGRESQL_EPOCH: i64 = POSTGRESQL_EPOCH_DAYS as i64 * DAY;

/// The years PostgreSQL's dates span: 4713 BC (-4712) to 5874897.
pub const DATE_YEARS: std::ops::RangeInclusive<i64> = -4712..=5_874_897;
/// The years its timestamps span.
pub const TIMESTAMP_YEARS: std::ops::RangeInclusive<i64> = -4712..=294_276;

/// Year (0 is 1 BC), month and day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Astronomical: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

impl Date {
    /// The date so many days after 1970-01-01.
    #[inline]
    pub fn from_days(days: i64) -> Date {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Date {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: day as u32,
        }
    }

    /// Days after 1970-01-01.
    pub fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = i64::from(self.month);
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }
}

/// How many days the month has.
pub fn days_of_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(
            Date::from_days(0),
            Date {
                year: 1970,
                month: 1,
                day: 1
            }
        );
        assert_eq!(
            Date {
                year: 2000,
                month: 1,
                day: 1
            }
            .to_days(),
            i64::from(POSTGRESQL_EPOCH_DAYS)
        );
        assert_eq!(
            Date {
                year: 2000,
                month: 2,
                day: 29
            }
            .to_days(),
            11_016
        );
    }

    proptest::proptest! {
        #[test]
        fn days_and_dates_agree(days in -3_000_000i64..3_000_000_000) {
            let date = Date::from_days(days);
            proptest::prop_assert_eq!(date.to_days(), days);
            proptest::prop_assert!(date.day >= 1 && date.day <= days_of_month(date.year, date.month));
        }
    }
}
