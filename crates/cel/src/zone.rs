//! Time zones, by name or by offset.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::error::ErrorKind;
use crate::time::{Civil, Timestamp, hours_and_minutes};

/// The number of steps that are charged for finding a zone by its name. The look-up may parse a
/// table of all changes of the zone's offset, which takes far longer than one step.
pub(crate) const LOOKUP_STEPS: u64 = 1_000;

/// A time zone.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// A fixed offset, in seconds east of UTC.
    Fixed(i64),
    Named(TimeZone),
}

impl Zone {
    /// Returns the zone `name`: a name such as `Europe/Berlin`, or an offset such as `-09:30` or
    /// `02:00`. Fails with [`ErrorKind::Invalid`] if there is no such zone.
    pub(crate) fn named(name: &str) -> Result<Self, ErrorKind> {
        if name == "UTC" || name == "Z" {
            return Ok(Self::Fixed(0));
        }
        let (sign, offset) = match name.as_bytes() {
            [b'-', offset @ ..] => (-1, offset),
            [b'+', offset @ ..] => (1, offset),
            offset => (1, offset),
        };
        if let Some(seconds) = hours_and_minutes(offset) {
            return Ok(Self::Fixed(sign * seconds));
        }
        match TimeZoneDatabase::bundled().get(name) {
            Ok(zone) => Ok(Self::Named(zone)),
            Err(_) => Err(ErrorKind::invalid("there is no such time zone")),
        }
    }

    /// Returns the local date and time of `timestamp` in the zone.
    pub(crate) fn civil(&self, timestamp: Timestamp) -> Civil {
        let offset = match self {
            Self::Fixed(seconds) => *seconds,
            Self::Named(zone) => {
                // The range of jiff's timestamps ends about a day before the range of `Timestamp`
                // ends. No zone changes its offset on that day.
                let clamped = timestamp.seconds().clamp(
                    jiff::Timestamp::MIN.as_second(),
                    jiff::Timestamp::MAX.as_second(),
                );
                let instant = jiff::Timestamp::from_second(clamped).unwrap_or(jiff::Timestamp::MAX);
                i64::from(zone.to_offset(instant).seconds())
            }
        };
        Civil::of(timestamp, offset)
    }
}
