//! Authority by polkit, on the system bus. Fails closed: when polkit does not answer, only root and the daemon's own
//! uid may call.

use super::auth::{Authority, OwnUid, Question, Verdict};
use crate::host::lock::lock;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zbus::{Connection, MatchRule, MessageStream, message};
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags, Subject};

/// Open questions per caller; a person types one password at a time.
const OPEN_PER_CALLER: u32 = 8;
/// An answer for which nobody has to be asked comes within this span, or not at all.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks polkit over the connection on which the calls come.
#[derive(Debug)]
pub(super) struct Polkit {
    connection: Connection,
    own: OwnUid,
    questions: AtomicU64,
    open: Mutex<BTreeMap<String, u32>>,
}

impl Polkit {
    pub fn new(connection: Connection, own: OwnUid) -> Self {
        Self { connection, own, questions: AtomicU64::new(1), open: Mutex::default() }
    }

    async fn ask(&self, question: Question<'_>) -> Verdict {
        let Some(sender) = question.header.sender().map(ToString::to_string) else {
            return Verdict::Refused("the call names no sender".into());
        };
        let Some(_open) = Open::try_new(&self.open, &sender) else {
            return Verdict::Busy;
        };
        let id = format!("reeved-{}-{}", std::process::id(), self.questions.fetch_add(1, Ordering::Relaxed));
        let silent =
            |e: &dyn std::fmt::Display| Verdict::Refused(format!("polkit does not answer ({e}): only root may call"));
        let proxy = match AuthorityProxy::builder(&self.connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
        {
            Ok(proxy) => proxy,
            Err(e) => return silent(&e),
        };
        let answer = if question.interactive {
            tokio::select! {
                answer = self.check(&proxy, &question, &id) => answer,
                () = self.gone(&sender) => {
                    let _ = proxy.cancel_check_authorization(&id).await;
                    return Verdict::Refused("the caller has left".into());
                }
            }
        } else {
            match tokio::time::timeout(ANSWER, self.check(&proxy, &question, &id)).await {
                Ok(answer) => answer,
                Err(_) => return silent(&format_args!("within {} s", ANSWER.as_secs())),
            }
        };
        match answer {
            Ok(verdict) => verdict,
            Err(e) => silent(&e),
        }
    }

    async fn check(&self, proxy: &AuthorityProxy<'_>, question: &Question<'_>, id: &str) -> Result<Verdict, String> {
        let subject = Subject::new_for_message_header(question.header).map_err(|e| e.to_string())?;
        let flags = if question.interactive {
            CheckAuthorizationFlags::ALLOW_USER_INTERACTION
        } else {
            CheckAuthorizationFlags::empty()
        };
        // polkit takes details only from root.
        let details: HashMap<&str, &str> = if self.own.0 == 0 {
            question.details.iter().map(|(k, v)| (*k, v.as_str())).collect()
        } else {
            HashMap::new()
        };
        let result = proxy
            .check_authorization(&subject, question.action.id(), &details, flags, id)
            .await
            .map_err(|e| e.to_string())?;
        Ok(if result.is_authorized {
            Verdict::Granted("polkit")
        } else if result.is_challenge && !question.interactive {
            Verdict::Challenge
        } else if result.details.contains_key("polkit.dismissed") {
            Verdict::Refused("the question for a password was dismissed".into())
        } else if result.is_challenge {
            Verdict::Refused("a password is needed, and nobody is there to ask for it".into())
        } else {
            Verdict::Refused(String::new())
        })
    }

    /// Ends when the caller leaves the bus.
    async fn gone(&self, sender: &str) {
        wait_gone(&self.connection, sender).await;
    }
}

impl Authority for Polkit {
    fn check<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            match self.own.grants(question.client) {
                // polkit would say yes as well; so this works while it is down.
                Some(ground) => Verdict::Granted(ground),
                None => self.ask(question).await,
            }
        })
    }
}

/// Ends when `sender` leaves the bus; never when that cannot be watched.
pub(super) async fn wait_gone(connection: &Connection, sender: &str) {
    let watch = async {
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, sender)
            .build()?
            .to_owned();
        let mut stream = MessageStream::for_match_rule(rule, connection, None).await?;
        // It may have left before the rule was in place.
        let bus = "org.freedesktop.DBus";
        let here: bool = connection
            .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "NameHasOwner", &(sender,))
            .await?
            .body()
            .deserialize()?;
        if !here {
            return Ok(true);
        }
        while let Some(change) = stream.next().await {
            let body = change?.body();
            let (_, _, owner): (&str, &str, &str) = body.deserialize()?;
            if owner.is_empty() {
                return Ok(true);
            }
        }
        zbus::Result::Ok(false)
    };
    if !watch.await.unwrap_or(false) {
        std::future::pending().await
    }
}

/// Counts an open question while it lives.
struct Open<'a> {
    counts: &'a Mutex<BTreeMap<String, u32>>,
    sender: String,
}

impl<'a> Open<'a> {
    fn try_new(counts: &'a Mutex<BTreeMap<String, u32>>, sender: &str) -> Option<Self> {
        let mut open = lock(counts);
        let count = open.entry(sender.to_owned()).or_default();
        if *count >= OPEN_PER_CALLER {
            return None;
        }
        *count += 1;
        Some(Self { counts, sender: sender.to_owned() })
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut open = lock(self.counts);
        if let Some(count) = open.get_mut(&self.sender) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.sender);
            }
        }
    }
}
