//! What a link does when broker or network are not well.

use crate::broker::{Broker, DEADLINE};
use crate::proxy::{End, Mode, Proxy};
use crate::raw;
use crate::rig::{Rig, options, publication};
use reeve::mqtt::{Link, LinkEvent, Publication, To};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::time::timeout;

const SILENT: &str = "the broker does not answer";

#[tokio::test]
async fn a_broker_that_comes_back_empty_is_subscribed_to_again() {
    let mut broker = Broker::open().await;
    let mut rig = Rig::up("a", broker.url(), &["a"]).await;
    rig.links.publish(To::All, Publication { retain: true, ..publication("a", b"kept") });
    rig.message().await;
    broker.stop();
    let reason = rig.lost(0).await;
    assert!(["the broker closed the connection", "the connection was reset"].contains(&reason.as_str()), "{reason}");
    rig.publish("a", b"nobody hears this");
    assert_eq!(rig.lost(0).await, "connection refused");
    // Repeats are counted and not told.
    rig.until(0, |status| status.lost > 4).await;
    broker.again().await;
    rig.connected(0).await;
    rig.echo("a").await;
    let status = rig.status(0);
    assert_eq!((status.connects, status.dropped), (2, 1));
}

#[tokio::test]
async fn two_brokers_one_lost() {
    let (mut one, two) = (Broker::open().await, Broker::open().await);
    let mut rig = Rig::start(options("a", &[one.url(), two.url()], &["a"]));
    let mut up: Vec<_> = [rig.next().await, rig.next().await].into();
    up.sort_by_key(|event| *event != LinkEvent::Connected(0));
    assert_eq!(up, [LinkEvent::Connected(0), LinkEvent::Connected(1)]);

    rig.publish("a", b"both");
    let mut from = [rig.message().await.0, rig.message().await.0];
    from.sort_unstable();
    assert_eq!(from, [0, 1]);
    rig.links.publish(To::First, publication("a", b"one"));
    assert_eq!(rig.message().await, (0, "a".to_owned(), b"one".to_vec()));

    one.stop();
    rig.lost(0).await;
    rig.links.publish(To::First, publication("a", b"the other"));
    loop {
        match rig.next().await {
            LinkEvent::Lost(0, reason) => assert_eq!(reason, "connection refused"),
            other => {
                let payload = b"the other".to_vec();
                assert_eq!(other, LinkEvent::Message { broker: 1, topic: "a".to_owned(), payload, retained: false });
                break;
            }
        }
    }
    assert_eq!(rig.status(1).lost, 0);
    one.again().await;
    rig.connected_again(0).await;
}

#[tokio::test]
async fn a_frozen_broker_is_lost_within_three_keep_alives() {
    let broker = Broker::open().await;
    let mut rig = Rig::up("a", broker.url(), &["a"]).await;
    rig.echo("a").await;
    let since = Instant::now();
    broker.freeze();
    assert_eq!(rig.lost(0).await, SILENT);
    let took = since.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
    broker.thaw();
    rig.connected(0).await;
    rig.echo("a").await;
}

#[tokio::test]
async fn a_hole_in_the_network() {
    let broker = Broker::open().await;
    let proxy = Proxy::before(broker.port, Mode::Hole).await;
    let mut rig = Rig::start(options("a", &[proxy.url()], &["a"]));
    assert_eq!(rig.lost(0).await, SILENT);
    proxy.set(Mode::Pass);
    rig.connected(0).await;
    rig.echo("a").await;

    // With so much on its way that a write hangs, it is the keeper that sees it.
    proxy.set(Mode::Hole);
    let since = Instant::now();
    for _ in 0..2000 {
        rig.publish("b", &[0; 16 * 1024]);
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.lost(0).await, SILENT);
    assert!(since.elapsed() < Duration::from_millis(4500), "{:?}", since.elapsed());
    proxy.set(Mode::Pass);
    rig.connected(0).await;
    rig.echo("a").await;
}

#[tokio::test]
async fn a_half_open_connection() {
    let broker = Broker::open().await;
    let proxy = Proxy::before(broker.port, Mode::Pass).await;
    let mut rig = Rig::up("a", proxy.url(), &["a"]).await;
    proxy.set(Mode::HalfOpen);
    assert_eq!(rig.lost(0).await, SILENT);
    proxy.set(Mode::Pass);
    rig.connected_again(0).await;
    rig.echo("a").await;
}

#[tokio::test]
async fn reset_cut_and_late() {
    let broker = Broker::open().await;
    let proxy = Proxy::before(broker.port, Mode::Delay(Duration::from_millis(100))).await;
    let mut rig = Rig::up("a", proxy.url(), &["a"]).await;
    rig.echo("a").await;
    proxy.set(Mode::Pass);
    proxy.end(End::Reset);
    assert_eq!(rig.lost(0).await, "the connection was reset");
    rig.connected(0).await;
    rig.echo("a").await;
    proxy.end(End::Cut);
    assert_eq!(rig.lost(0).await, "the broker closed the connection");
    rig.connected(0).await;
    rig.echo("a").await;
}

#[tokio::test]
async fn a_flood_neither_blocks_nor_grows() {
    let broker = Broker::open().await;
    let mut patient = options("a", &[broker.url()], &["echo"]);
    patient.keep_alive = Duration::from_secs(60);
    let mut rig = Rig::start(patient);
    rig.connected(0).await;
    broker.freeze();
    let since = Instant::now();
    for number in 0..5000 {
        rig.publish("flood", &[0; 16 * 1024]);
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    let full = rig.status(0);
    assert!(full.connected && full.dropped > 3000, "{full:?}");
    assert!(5000 - full.sent - full.dropped <= 522, "{full:?}");
    broker.thaw();
    let done = rig.until(0, |status| status.sent + status.dropped == 5000).await;
    assert_eq!((done.dropped, done.lost), (full.dropped, 0));
    rig.echo("echo").await;
}

#[tokio::test]
async fn a_refused_subscription_is_a_loss_that_is_told_once() {
    for (place, closes) in [("127.0.0.1:0", true), ("[::1]:0", false)] {
        let Ok(listener) = TcpListener::bind(place).await else {
            eprintln!("no {place} here: skipped");
            continue;
        };
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let mut rig = Rig::start(options("a", &[url], &["mine", "lead/+"]));
        for _ in 0..2 {
            assert!(timeout(DEADLINE, raw::refuse_last(&listener, closes)).await.unwrap(), "left with DISCONNECT");
        }
        assert_eq!(rig.lost(0).await, "the broker refuses the subscription lead/+ (its access rules?)");
        rig.until(0, |status| status.lost >= 2).await;
        assert!(rig.events.try_recv().is_err());
        assert_eq!(rig.status(0).connects, 0);
    }
}

#[tokio::test]
async fn an_address_that_is_none_and_a_name_that_is_unknown() {
    let brokers = ["tcp://a".to_owned(), "mqtt://no-such-host.invalid:1883".to_owned()];
    let mut rig = Rig::start(options("a", &brokers, &[]));
    let mut reasons = [String::new(), String::new()];
    for _ in 0..2 {
        match rig.next().await {
            LinkEvent::Lost(index, reason) => reasons[index] = reason,
            other => panic!("{other:?}"),
        }
    }
    assert!(reasons[0].starts_with("expected a broker such as"), "{reasons:?}");
    assert!(["the broker's name is unknown", SILENT].contains(&reasons[1].as_str()), "{reasons:?}");
    rig.links.publish(To::First, publication("a", b""));
    assert_eq!(rig.status(0).dropped, 1);
    // Nothing to wait for.
    timeout(Duration::from_secs(5), rig.links.close(None)).await.unwrap();
}
