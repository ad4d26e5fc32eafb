//! What a link does while all is well, and how it ends.

use crate::broker::Broker;
use crate::raw;
use crate::rig::{Rig, options, publication};
use reeve::mqtt::{Link, LinkEvent, Links, PAYLOAD_MOST, Publication, To};
use tokio::sync::mpsc;

#[tokio::test]
async fn there_and_back_and_retained() {
    let broker = Broker::open().await;
    let mut a = Rig::up("a", broker.url(), &["to/a/+", "all"]).await;
    let mut b = Rig::up("b", broker.url(), &["all"]).await;
    b.publish("to/a/b", b"hello");
    assert_eq!(a.message().await, (0, "to/a/b".to_owned(), b"hello".to_vec()));
    for number in 0..100_u8 {
        b.links.publish(To::First, Publication { acknowledged: number % 2 == 0, ..publication("all", &[number]) });
    }
    for number in 0..100_u8 {
        assert_eq!(a.message().await, (0, "all".to_owned(), vec![number]));
        assert_eq!(b.message().await, (0, "all".to_owned(), vec![number]));
    }
    let sent = b.until(0, |status| status.sent == 101).await;
    assert_eq!((sent.received, sent.dropped, sent.refused, sent.connects, sent.lost), (100, 0, 0, 1, 0));
    assert!(sent.connected && sent.reason.is_empty());

    b.links.publish(To::All, Publication { retain: true, ..publication("kept", b"state") });
    b.echo("all").await;
    let mut late = Rig::up("late", broker.url(), &["kept"]).await;
    assert_eq!(late.message().await, (0, "kept".to_owned(), b"state".to_vec()));
}

#[tokio::test]
async fn without_subscriptions_it_connects_all_the_same() {
    let broker = Broker::open().await;
    let mut listener = Rig::up("listener", broker.url(), &["#"]).await;
    let mut quiet = Rig::up("quiet", broker.url(), &[]).await;
    quiet.publish("a", b"");
    assert_eq!(listener.message().await, (0, "a".to_owned(), Vec::new()));
}

#[tokio::test]
async fn the_will_is_published_when_the_process_is_gone_and_not_after_a_close() {
    let broker = Broker::open().await;
    let mut watcher = Rig::up("watcher", broker.url(), &["will/+", "mark"]).await;

    // All its tasks end at once, as with the process.
    let url = broker.url();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let killed = runtime.block_on(Rig::up("killed", url, &["x"]));
        drop(runtime);
        drop(killed);
    })
    .join()
    .unwrap();
    assert_eq!(watcher.message().await, (0, "will/killed".to_owned(), b"gone".to_vec()));

    let closed = Rig::up("closed", broker.url(), &["x"]).await;
    let last = Publication { acknowledged: true, ..publication("mark", b"bye") };
    closed.links.close(Some(last)).await;
    broker.says("Client closed disconnected.").await;
    assert_eq!(watcher.message().await, (0, "mark".to_owned(), b"bye".to_vec()));

    // In the background, as long as the runtime goes on.
    drop(Rig::up("dropped", broker.url(), &["x"]).await);
    broker.says("Client dropped disconnected.").await;
    watcher.echo("mark").await;
}

#[tokio::test]
async fn what_is_queued_goes_out_before_a_close() {
    let broker = Broker::open().await;
    let mut watcher = Rig::up("watcher", broker.url(), &["#"]).await;
    let mut closed = Rig::up("closed", broker.url(), &[]).await;
    for number in 0..200_u8 {
        closed.links.publish(To::All, Publication { acknowledged: number % 3 == 0, ..publication("n", &[number]) });
    }
    closed.links.close(Some(publication("last", b""))).await;
    for number in 0..200_u8 {
        assert_eq!(watcher.message().await, (0, "n".to_owned(), vec![number]));
    }
    assert_eq!(watcher.message().await.1, "last");
    broker.says("Client closed disconnected.").await;
}

#[tokio::test]
async fn too_large_is_refused_and_the_connection_stays() {
    let broker = Broker::open().await;
    let mut rig = Rig::up("a", broker.url(), &["a"]).await;
    rig.publish("a", &vec![1; PAYLOAD_MOST + 1]);
    rig.publish("a/+", b"no topic");
    rig.publish("", b"no topic");
    rig.publish("a", &vec![2; PAYLOAD_MOST]);
    assert_eq!(rig.message().await.2, vec![2; PAYLOAD_MOST]);
    let status = rig.status(0);
    assert_eq!((status.refused, status.dropped, status.sent, status.connects, status.lost), (3, 0, 1, 1, 0));
}

#[tokio::test]
async fn a_large_retained_message_comes_in_and_one_too_large_says_so() {
    let broker = Broker::open().await;
    raw::retain(broker.port, "large", &vec![7; 200 * 1024]).await;
    let mut rig = Rig::up("a", broker.url(), &["large", "echo"]).await;
    assert_eq!(rig.message().await.2.len(), 200 * 1024);
    rig.echo("echo").await;
    assert_eq!(rig.status(0).lost, 0);

    raw::retain(broker.port, "larger", &vec![7; 300 * 1024]).await;
    let mut rig = Rig::start(options("b", &[broker.url()], &["larger"]));
    // It may come in one go with the answer to the subscription.
    let reason = match rig.next().await {
        LinkEvent::Lost(0, reason) => reason,
        other => {
            assert_eq!(other, LinkEvent::Connected(0));
            rig.lost(0).await
        }
    };
    assert!(reason.starts_with("the broker sent a packet of 3072") && reason.ends_with("too large"), "{reason}");
}

#[tokio::test]
async fn with_no_room_for_events_messages_go_and_news_stays() {
    let mut broker = Broker::open().await;
    let (sender, events) = mpsc::channel(1);
    let links = Links::start(options("a", &[broker.url()], &["#"]), sender);
    let mut rig = Rig { links, events };
    rig.until(0, |status| status.connected).await;
    // The one place is taken by Connected.
    rig.publish("a", b"1");
    rig.until(0, |status| status.received == 1 && status.dropped == 1).await;
    broker.stop();
    rig.until(0, |status| status.lost > 0).await;
    broker.again().await;
    rig.until(0, |status| status.connects == 2).await;
    rig.connected(0).await;
    assert!(matches!(rig.next().await, LinkEvent::Lost(0, _)));
    rig.connected_again(0).await;
    rig.echo("a").await;
}
