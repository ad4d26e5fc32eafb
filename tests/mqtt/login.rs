//! Who is let in, by whom, and what he may do.

use crate::broker::{Broker, passwords};
use crate::certificates::{Authority, Good, Identity};
use crate::rig::{Rig, options};
use reeve::mqtt::Login;

/// A link of `node` with these files as its credentials.
fn start(node: &str, url: String, files: &[(&str, &str)], subscriptions: &[&str]) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    for (kind, text) in files {
        std::fs::write(folder.path().join(format!("mqtt.{kind}")), text).unwrap();
    }
    let name = (!files.is_empty()).then_some("mqtt");
    let mut options = options(node, &[url], subscriptions);
    options.login = Login::read(node, folder.path(), name, &options.brokers).unwrap();
    Rig::start(options)
}

#[tokio::test]
async fn passwords_right_and_wrong() {
    let broker = Broker::start(|folder| {
        format!("password_file {}\nallow_anonymous false\n", passwords(folder, &[("n1", "right")]).display())
    })
    .await;
    let mut right = start("n1", broker.url(), &[("password", "right\n")], &["a"]);
    right.connected(0).await;
    right.echo("a").await;
    for mut wrong in [
        start("n1", broker.url(), &[("password", "wrong")], &["a"]),
        start("n2", broker.url(), &[("password", "right")], &["a"]),
        start("n1", broker.url(), &[], &["a"]),
    ] {
        let reason = wrong.lost(0).await;
        assert!(reason.starts_with("the broker refuses this user or password"), "{reason}");
        let said = format!("{:?}", wrong.links);
        assert!(!said.contains("right") && !said.contains("\"wrong"), "{said}");
    }
}

/// mosquitto with this certificate.
async fn secure(authority: &Authority, identity: &Identity, more: &str) -> Broker {
    Broker::start(|folder| format!("{}{more}", authority.listener(folder, identity))).await
}

#[tokio::test]
async fn certificates_of_brokers() {
    let authority = Authority::new("ours");
    let ca = authority.pem();
    let anybody = "allow_anonymous true\n";
    let good = secure(&authority, &authority.issue("localhost", Good::Now), anybody).await;
    let mut rig = start("n1", good.secure_url(), &[("ca", &ca)], &["a"]);
    rig.connected(0).await;
    rig.echo("a").await;
    let closed = rig.links.close(None);
    closed.await;
    good.says("Client n1 disconnected.").await;

    let theirs = Authority::new("theirs").pem();
    let reason = start("n1", good.secure_url(), &[("ca", &theirs)], &["a"]).lost(0).await;
    assert_eq!(reason, "the certificate of the broker is signed by nobody we trust");

    let old = secure(&authority, &authority.issue("localhost", Good::Past), anybody).await;
    let reason = start("n1", old.secure_url(), &[("ca", &ca)], &["a"]).lost(0).await;
    assert_eq!(reason, "the certificate of the broker has expired");

    let other = secure(&authority, &authority.issue("broker-b", Good::Now), anybody).await;
    let reason = start("n1", other.secure_url(), &[("ca", &ca)], &["a"]).lost(0).await;
    assert_eq!(reason, "the certificate of the broker is for another name than the configured one");

    // TLS where there is none, and the other way round.
    let plain = Broker::open().await;
    let reason = start("n1", plain.secure_url(), &[("ca", &ca)], &["a"]).lost(0).await;
    assert!(!reason.is_empty() && !reason.contains("certificate"), "{reason}");
    let reason = start("n1", good.url(), &[], &["a"]).lost(0).await;
    assert!(reason.contains("does the port expect TLS?") || reason.contains("reset"), "{reason}");
}

#[tokio::test]
async fn certificates_of_nodes() {
    let authority = Authority::new("ours");
    let ca = authority.pem();
    let more = "require_certificate true\nuse_identity_as_username true\n";
    let broker = secure(&authority, &authority.issue("localhost", Good::Now), more).await;
    let own = authority.issue("n1", Good::Now);
    let files = [("ca", ca.as_str()), ("crt", &own.certificate), ("key", &own.key)];
    let mut rig = start("n1", broker.secure_url(), &files, &["a"]);
    rig.connected(0).await;
    rig.echo("a").await;
    // The name in the certificate is the user.
    broker.says("u'n1'").await;

    // The broker's word may be overtaken by the end of the connection.
    let ended = ["the connection was reset", "the broker closed the connection"];
    let reason = start("n2", broker.secure_url(), &[("ca", &ca)], &["a"]).lost(0).await;
    assert!(reason.contains("client certificate") || ended.contains(&reason.as_str()), "{reason}");
    let old = authority.issue("n3", Good::Past);
    let files = [("ca", ca.as_str()), ("crt", &old.certificate), ("key", &old.key)];
    let reason = start("n3", broker.secure_url(), &files, &["a"]).lost(0).await;
    assert!(
        reason == "the broker says that our certificate has expired" || ended.contains(&reason.as_str()),
        "{reason}"
    );
}

/// mosquitto grants every subscription and filters what is delivered.
#[tokio::test]
async fn access_rules_of_mosquitto() {
    let broker = Broker::start(|folder| {
        let rules = folder.join("rules");
        std::fs::write(&rules, "pattern write n/%u/#\npattern read n/%u/rx/#\nuser lead\ntopic write n/+/rx/lead\n")
            .unwrap();
        let users = passwords(folder, &[("n1", "p"), ("n2", "p"), ("lead", "p")]);
        format!("password_file {}\nacl_file {}\n", users.display(), rules.display())
    })
    .await;
    let password = [("password", "p")];
    let mut one = start("n1", broker.url(), &password, &["#"]);
    let mut two = start("n2", broker.url(), &password, &[]);
    let mut lead = start("lead", broker.url(), &password, &[]);
    for rig in [&mut one, &mut two, &mut lead] {
        rig.connected(0).await;
    }
    two.publish("n/n1/rx/two", b"forged");
    broker.says("Denied PUBLISH from n2").await;
    two.publish("n/n2/rep", b"its own, and not for others");
    broker.says("Received PUBLISH from n2 (d0, q0, r0, m0, 'n/n2/rep'").await;
    lead.publish("n/n1/rx/lead", b"an order");
    assert_eq!(one.message().await, (0, "n/n1/rx/lead".to_owned(), b"an order".to_vec()));
    assert_eq!(two.status(0).lost, 0);
}
