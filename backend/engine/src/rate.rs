//! Shares with what is known of them.

/// A share of 0 to 1 and the interval in which the true one lies with 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Of how many.
    pub of: u64,
}

/// The share `hits` of `of` with Wilson's score interval (Wilson 1927, z = 1.96), which is honest for few and for none. `None` of nothing.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub fn wilson(hits: u64, of: u64) -> Option<Rate> {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return None;
    }
    let (n, value) = (of as f64, hits.min(of) as f64 / of as f64);
    let scale = 1.0 + Z * Z / n;
    let middle = (value + Z * Z / (2.0 * n)) / scale;
    let half = Z * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    Some(Rate { value, low: (middle - half).max(0.0), high: (middle + half).min(1.0), of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_in_the_literature() {
        // Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
        let rate = wilson(81, 263).unwrap();
        assert!((rate.low - 0.2553).abs() < 5e-5 && (rate.high - 0.3662).abs() < 5e-5, "{rate:?}");
        let none = wilson(0, 20).unwrap();
        assert!(none.low.abs() < 1e-12 && (none.high - 0.1611).abs() < 5e-5, "{none:?}");
        assert_eq!(wilson(0, 0), None);
    }

    proptest! {
        #[test]
        fn the_share_lies_in_its_interval(of in 1..100_000_u64, share in 0.0..=1.0_f64) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a count")]
            let hits = (share * of as f64) as u64;
            let rate = wilson(hits, of).unwrap();
            prop_assert!(0.0 <= rate.low && rate.low <= rate.value + 1e-12 && rate.value <= rate.high + 1e-12 && rate.high <= 1.0);
        }
    }
}
