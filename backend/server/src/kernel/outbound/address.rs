//! Which addresses people may make Stance talk to.
//!
//! From the registries of special-purpose addresses (RFC 6890 and its updates, <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>), and what cloud machines ask for their own credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far away an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere in the Internet.
    Public,
    /// This machine, or a network of its owner: only where the administrator allows it.
    Private,
    /// Never the target of a message: link-local, machine metadata, multicast, documentation, reserved.
    Never,
}

/// The class of an address. An IPv6 address that stands for an IPv4 address (mapped, NAT64, 6to4) is of the latter's class.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // Alibaba's metadata lies among carrier addresses, Azure's among public ones.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Reach::Never,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Reach::Private
        }
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    let last = |high: u16, low: u16| of_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            last(high, low)
        }
        // Amazon's and Google's metadata lie among private addresses.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Reach::Never,
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Protocol assignments (Teredo, ORCHID …) and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        // Link-local, multicast, unspecified, discard, and whatever is not given out yet.
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.1.1.1", Reach::Public)]
    #[case("93.184.216.34", Reach::Public)]
    #[case("100.63.255.255", Reach::Public)]
    #[case("100.128.0.0", Reach::Public)]
    #[case("172.15.255.255", Reach::Public)]
    #[case("172.32.0.0", Reach::Public)]
    #[case("169.253.255.255", Reach::Public)]
    #[case("223.255.255.255", Reach::Public)]
    #[case("10.0.0.1", Reach::Private)]
    #[case("172.16.0.1", Reach::Private)]
    #[case("172.31.255.255", Reach::Private)]
    #[case("192.168.255.1", Reach::Private)]
    #[case("127.0.0.1", Reach::Private)]
    #[case("127.255.255.254", Reach::Private)]
    #[case("100.64.0.1", Reach::Private)]
    #[case("100.127.255.255", Reach::Private)]
    #[case("198.19.0.1", Reach::Private)]
    #[case("0.0.0.0", Reach::Never)]
    #[case("0.1.2.3", Reach::Never)]
    #[case("169.254.169.254", Reach::Never)]
    #[case("169.254.0.1", Reach::Never)]
    #[case("100.100.100.200", Reach::Never)]
    #[case("168.63.129.16", Reach::Never)]
    #[case("192.0.0.192", Reach::Never)]
    #[case("192.0.2.1", Reach::Never)]
    #[case("198.51.100.7", Reach::Never)]
    #[case("203.0.113.9", Reach::Never)]
    #[case("224.0.0.1", Reach::Never)]
    #[case("240.0.0.1", Reach::Never)]
    #[case("255.255.255.255", Reach::Never)]
    #[case("2606:4700:4700::1111", Reach::Public)]
    #[case("2001:4860:4860::8888", Reach::Public)]
    #[case("::ffff:1.1.1.1", Reach::Public)]
    #[case("64:ff9b::1.1.1.1", Reach::Public)]
    #[case("2002:101:101::1", Reach::Public)]
    #[case("::1", Reach::Private)]
    #[case("fc00::1", Reach::Private)]
    #[case("fdff:ffff::1", Reach::Private)]
    #[case("::ffff:127.0.0.1", Reach::Private)]
    #[case("::ffff:10.1.2.3", Reach::Private)]
    #[case("64:ff9b::192.168.0.1", Reach::Private)]
    #[case("2002:7f00:1::", Reach::Private)]
    #[case("::", Reach::Never)]
    #[case("::127.0.0.1", Reach::Never)]
    #[case("::ffff:169.254.169.254", Reach::Never)]
    #[case("64:ff9b::169.254.169.254", Reach::Never)]
    #[case("64:ff9b:1::1.1.1.1", Reach::Never)]
    #[case("2002:a9fe:a9fe::", Reach::Never)]
    #[case("fd00:ec2::254", Reach::Never)]
    #[case("fd20:ce::254", Reach::Never)]
    #[case("fe80::1", Reach::Never)]
    #[case("fec0::1", Reach::Never)]
    #[case("ff02::1", Reach::Never)]
    #[case("100::1", Reach::Never)]
    #[case("2001::1", Reach::Never)]
    #[case("2001:20::1", Reach::Never)]
    #[case("2001:db8::1", Reach::Never)]
    #[case("3fff::1", Reach::Never)]
    #[case("4000::1", Reach::Never)]
    fn an_address_is_of_its_class(#[case] address: &str, #[case] expected: Reach) {
        assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
    }

    proptest! {
        /// However an IPv4 address is written in IPv6, it does not get farther.
        #[test]
        fn a_disguise_changes_nothing(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for disguise in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(reach(disguise.into()), reach(v4.into()));
            }
            prop_assert_ne!(reach(v4.to_ipv6_compatible().into()), Reach::Public);
        }

        /// What the standard library knows to be special is never public.
        #[test]
        fn nothing_special_is_public(bits: u32, wide: u128) {
            let v4 = Ipv4Addr::from(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation()
                || v4.is_multicast() || v4.is_unspecified() {
                prop_assert_ne!(reach(v4.into()), Reach::Public);
            }
            let v6 = Ipv6Addr::from(wide);
            if v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local() {
                prop_assert_ne!(reach(v6.into()), Reach::Public);
            }
        }
    }
}
