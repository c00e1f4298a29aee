//! To which addresses webhooks may go: public ones, so that nobody reaches through this service what
//! only this service can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What is not public, of IPv4: IANA's special-purpose registry, multicast, what is reserved, and one
/// metadata service that has a public address.
const NOT_PUBLIC_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // AWS, Google and most others have their metadata at 169.254.169.254.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Azure's.
    v4(168, 63, 129, 16, 32),
];

/// The addresses of IPv6 that are given out for use on the internet. All others are local, multicast
/// or a form of IPv4.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 3);

/// What is not public of those: protocols (Teredo among them), documentation, and 6to4, which is a form
/// of IPv4.
const NOT_PUBLIC_V6: &[Ipv6Net] = &[
    v6(0x2001, 0, 23),
    v6(0x2001, 0x0db8, 32),
    v6(0x2002, 0, 16),
    v6(0x3fff, 0, 20),
];

/// IPv4 behind a translator, RFC 6052: what resolvers answer where there is only IPv6.
const TRANSLATED: Ipv6Net = v6(0x0064, 0xff9b, 96);

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// The addresses to which webhooks may go.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    allowed: Vec<IpNet>,
}

impl Addresses {
    /// Permits public addresses and those of some other networks.
    pub(super) fn allowing(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Tells whether a webhook may go to an address, whatever its form.
    pub(super) fn permit(&self, address: IpAddr) -> bool {
        let address = plain(address);
        is_public(address)
            || self
                .allowed
                .iter()
                .any(|network| network.contains(&address))
    }
}

/// Returns the address of IPv4 that one of IPv6 stands for, or the address itself.
fn plain(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if TRANSLATED.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4
            .iter()
            .any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address)
                && !NOT_PUBLIC_V6
                    .iter()
                    .any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Addresses;

    #[test]
    fn public_addresses_are_permitted() {
        let addresses = Addresses::allowing(Vec::new());
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:830::200e",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(addresses.permit(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn all_others_are_not() {
        let addresses = Addresses::allowing(Vec::new());
        for local in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            // IPv4, mapped, compatible, translated, 6to4 and Teredo.
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "::1.1.1.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "2002:7f00:1::",
            "2002:101:101::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!addresses.permit(local.parse().unwrap()), "{local}");
        }
    }

    #[test]
    fn a_network_that_is_allowed_is_so_in_each_form() {
        let networks = ["10.1.0.0/16", "fd00::/8"].map(|network| network.parse().unwrap());
        let addresses = Addresses::allowing(networks.to_vec());
        for (address, permitted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd00::1", true),
            ("fc00::1", false),
        ] {
            assert_eq!(
                addresses.permit(address.parse().unwrap()),
                permitted,
                "{address}"
            );
        }
    }
}
