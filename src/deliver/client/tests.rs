use super::*;

#[test]
fn a_name_leads_to_no_address_that_no_destination_should_have() {
    // The address, whether any name may lead there, and whether `localhost` may.
    let cases = [
        ("10.0.0.12", true, true),
        ("192.168.1.1", true, true),
        ("172.16.0.9", true, true),
        ("100.64.0.1", true, true),
        ("203.0.113.7", true, true),
        ("2001:db8::1", true, true),
        ("fd12:3456::1", true, true),
        ("127.0.0.1", false, true),
        ("127.8.8.8", false, true),
        ("::1", false, true),
        ("::ffff:127.0.0.1", false, true),
        ("169.254.169.254", false, false),
        ("::ffff:169.254.169.254", false, false),
        ("fd00:ec2::254", false, false),
        ("fe80::1", false, false),
        ("0.0.0.0", false, false),
        ("0.1.2.3", false, false),
        ("::", false, false),
        ("224.0.0.1", false, false),
        ("239.255.255.250", false, false),
        ("255.255.255.255", false, false),
        ("ff02::1", false, false),
    ];
    for (address, any, local) in cases {
        let parsed = address.parse().unwrap();
        assert_eq!((may_reach(parsed, false), may_reach(parsed, true)), (any, local), "{address}");
    }
}

#[tokio::test]
async fn an_address_that_was_written_out_is_not_asked_about() {
    let door = |host: &str| Door { host: host.into(), port: 9, tls: None, limit: Duration::from_secs(1) };
    for host in ["169.254.169.254", "127.0.0.1", "::1"] {
        let found = door(host).addresses().await.unwrap();
        assert_eq!(found, [SocketAddr::new(host.parse().unwrap(), 9)]);
    }
    // The one name that may lead here; answered from the hosts file.
    assert!(door("LocalHost").addresses().await.unwrap().iter().all(|address| address.ip().is_loopback()));
}
