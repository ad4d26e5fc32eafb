//! One call of one of our methods: syntax → authority → audit → act → audit.

use super::action::Action;
use super::args::Args;
use super::audit::{AuditEntry, Phase};
use super::auth::{Question, Verdict, interactive};
use super::caller::Client;
use super::error::Error;
use super::names::{self, Object, operation, run_id};
use super::objects;
use super::peer::Peer;
use super::table::{Access, Interface, Method, Verb};
use crate::app::handle::{Caller, Handle, Request};
use reeve_core::ids::OperationId;
use reeve_core::{Command, Snapshot, Target};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zbus::message::Header;
use zbus::{DynamicType, Message};

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub peer: &'a Arc<Peer>,
    pub header: &'a Header<'a>,
    pub method: &'static Method,
    pub client: Arc<Client>,
    pub args: Args,
    /// The worker or replica it acts on.
    pub target: Option<Target>,
    /// The task run it acts on.
    pub operation: Option<OperationId>,
    /// The task run it has started.
    pub started: Option<OperationId>,
    /// `reason` where that is an argument; else the option.
    pub reason: Option<String>,
}

/// Carries a call out and makes the reply.
pub(super) async fn run(
    peer: &Arc<Peer>,
    message: &Message,
    object: &Object,
    interface: &'static Interface,
    method: &'static Method,
) -> Result<Message, Error> {
    let header = message.header();
    let client = peer.client(&header).await?;
    let mut trail = Trail::new(peer, object, interface, method, &client);
    let mut call = Call {
        peer,
        header: &header,
        method,
        client,
        args: Args::default(),
        target: object.target(),
        operation: match object {
            Object::TaskRun(id) => Some(*id),
            _ => None,
        },
        started: None,
        reason: None,
    };
    if let Err(error) = call.read(message) {
        trail.describe(&call);
        return Err(trail.refused(error));
    }
    trail.describe(&call);
    match call.authorise(call.action()).await {
        Ok(ground) => trail.begin(ground),
        Err(error) => return Err(trail.refused(error)),
    }
    match call.act().await {
        Ok(reply) => {
            trail.done(&call);
            Ok(reply)
        }
        Err(error) => Err(trail.failed(error)),
    }
}

impl Call<'_> {
    fn read(&mut self, message: &Message) -> Result<(), Error> {
        self.args = Args::read(self.method, &message.body())?;
        self.reason = self.args.options.reason.clone();
        match self.method.input.first().map(|a| a.name) {
            Some("target") => self.target = Some(self.args.target()?),
            Some("worker") => self.target = Some(Target::Worker(self.args.worker()?)),
            Some("id") => {
                let id = self.args.text()?;
                self.operation = Some(
                    names::parse_run_id(&id)
                        .ok_or_else(|| Error::argument(format!("id: expected the id of a task run, not {id:?}")))?,
                );
            }
            _ => {}
        }
        // Wherever it stands: the audit trail and polkit's rules want it before anything is done.
        if let Some(reason) = self.args.reason()? {
            self.reason = Some(reason);
        }
        Ok(())
    }

    /// The action this call needs, which may depend on what it acts on.
    fn action(&self) -> Option<Action> {
        match self.method.access {
            Access::Free => None,
            Access::Action(action) => Some(action),
            Access::Either(usual, stricter) => {
                let snapshot = self.handle().snapshot();
                let strict = match self.method.verb {
                    Verb::Cancel => {
                        self.operation.and_then(|id| operation(&snapshot, id)).is_some_and(|o| o.uid != self.client.uid)
                    }
                    _ => self.target.as_ref().is_some_and(|t| isolated(&snapshot, t)),
                };
                Some(if strict { stricter } else { usual })
            }
        }
    }

    /// On what ground the caller may do this.
    async fn authorise(&self, action: Option<Action>) -> Result<&'static str, Error> {
        let Some(action) = action else {
            return Ok("free");
        };
        match self.ask(action, interactive(self.header)).await {
            Verdict::Granted(ground) => Ok(ground),
            Verdict::Refused(why) => {
                let text = action.refusal(&self.client.who());
                Err(Error::not_authorized(if why.is_empty() { text } else { format!("{text} ({why})") }))
            }
            Verdict::Challenge => Err(Error::interaction_required(format!(
                "{}; a password would help, but the call does not allow to ask for one",
                action.refusal(&self.client.who())
            ))),
            Verdict::Busy => Err(Error::new("Busy", "too many questions for authorization are open for this caller")),
        }
    }

    /// Asks the authority.
    pub async fn ask(&self, action: Action, interactive: bool) -> Verdict {
        let mut details = vec![("method", self.method.name.to_owned())];
        if let Some(target) = &self.target {
            details.push(("target", target.to_string()));
            details.push(("worker", target.worker().to_string()));
        }
        if let Some(reason) = &self.reason {
            details.push(("reason", reason.clone()));
        }
        let question = Question { client: &self.client, header: self.header, action, details, interactive };
        self.peer.authority.check(question).await
    }

    async fn act(&mut self) -> Result<Message, Error> {
        match self.args.options.timeout {
            Some(span) if self.method.access.reading() => tokio::time::timeout(span, objects::act(self))
                .await
                .map_err(|_| Error::new("Timeout", format!("no answer within {} µs", span.as_micros())))?,
            _ => objects::act(self).await,
        }
    }

    /// The way to the loop.
    pub fn handle(&self) -> &Handle {
        &self.peer.context.handle
    }

    /// The caller, as the loop wants to know him.
    pub fn caller(&self) -> Caller {
        Caller {
            uid: self.client.uid,
            by: self.client.who(),
            via: self.client.via().to_owned(),
            reason: self.reason.clone(),
            request_id: self.args.options.request_id.clone(),
            dry_run: self.args.options.dry_run,
        }
    }

    /// The worker or replica it acts on.
    pub fn target(&self) -> Result<Target, Error> {
        self.target.clone().ok_or_else(|| Error::argument("a target is missing"))
    }

    /// A reply with this body.
    pub fn reply(&self, body: &(impl serde::Serialize + DynamicType)) -> Result<Message, Error> {
        Ok(Message::method_return(self.header).build(body)?)
    }

    /// Cancels the task run it has started when that takes too long.
    pub fn limit(&self, id: OperationId) {
        let Some(span) = self.args.options.timeout else {
            return;
        };
        let handle = self.handle().clone();
        let mut caller = self.caller();
        caller.reason = Some(format!("it was given {} s", span.as_secs_f64()));
        caller.request_id = None;
        caller.dry_run = false;
        tokio::spawn(async move {
            if tokio::time::timeout(span, ended(&handle, id)).await.is_err() {
                let cancel = Command::Cancel(id);
                let _ = handle.ask(|back| Request::Command(cancel, caller, back)).await;
            }
        });
    }
}

fn isolated(snapshot: &Snapshot, target: &Target) -> bool {
    let Some(worker) = snapshot.workers.get(target.worker()) else {
        return false;
    };
    worker.replicas.iter().any(|r| {
        r.state == "isolated"
            && match target {
                Target::Worker(_) => true,
                Target::Replica(id) => r.id == *id,
            }
    })
}

/// Waits until a task run is in the snapshot; not for ever, as it may have ended and gone by.
pub(super) async fn exported(handle: &Handle, id: OperationId) {
    let mut watch = handle.watch();
    let seen = async {
        while operation(&handle.snapshot(), id).is_none() {
            if watch.changed().await.is_err() {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), seen).await;
}

/// Waits until a task run has ended, and says how.
async fn ended(handle: &Handle, id: OperationId) -> (String, String) {
    let mut watch = handle.watch();
    loop {
        match operation(&handle.snapshot(), id) {
            Some(o) if o.state == "done" => return (o.result.to_owned(), o.message.clone()),
            Some(_) => {}
            None => return ("lost".into(), "the task run is no longer kept".into()),
        }
        if watch.changed().await.is_err() {
            return ("lost".into(), "reeved is ending".into());
        }
    }
}

/// What the audit trail will say of a call. Reading calls leave none.
struct Trail {
    peer: Arc<Peer>,
    entry: Option<AuditEntry>,
}

impl Trail {
    fn new(peer: &Arc<Peer>, object: &Object, interface: &Interface, method: &Method, client: &Arc<Client>) -> Self {
        let entry = (!method.access.reading()).then(|| AuditEntry {
            call: peer.context.calls.fetch_add(1, Ordering::Relaxed),
            phase: Phase::End,
            action: String::new(),
            method: format!("{}.{}", interface.name, method.name),
            target: match object {
                Object::Root => "node".into(),
                Object::Worker(worker) => worker.to_string(),
                Object::Replica(replica) => replica.to_string(),
                Object::TaskRun(id) => run_id(*id),
                Object::Fleet => "fleet".into(),
            },
            arguments: Default::default(),
            caller: client.clone(),
            polkit_result: String::new(),
            reason: None,
            request_id: None,
            task_run: None,
            result: String::new(),
            text: String::new(),
        });
        Self { peer: peer.clone(), entry }
    }

    /// What is known once the arguments are read.
    fn describe(&mut self, call: &Call<'_>) {
        let Some(entry) = &mut self.entry else {
            return;
        };
        // What the state of the target asks for; a call that cannot be read is named by what it asks for at least.
        entry.action = call.action().map_or(String::new(), |a| a.id().to_owned());
        entry.arguments = call.args.shown.clone();
        entry.reason = call.reason.clone();
        entry.request_id = call.args.options.request_id.clone();
        if let Some(target) = &call.target {
            entry.target = target.to_string();
        } else if let Some(id) = call.operation {
            entry.target = run_id(id);
        } else if let Some(named) = ["team", "slot", "node"].iter().find_map(|a| entry.arguments.get(*a)?.as_str())
            && !named.is_empty()
        {
            entry.target = named.to_owned();
        }
    }

    fn begin(&mut self, ground: &str) {
        if let Some(entry) = &mut self.entry {
            entry.polkit_result = format!("granted ({ground})");
            let begin = AuditEntry { phase: Phase::Begin, result: "allowed".into(), ..entry.clone() };
            self.peer.context.sink.record(begin);
        }
    }

    fn refused(&mut self, error: Error) -> Error {
        if let Some(entry) = &mut self.entry
            && matches!(error.word(), "NotAuthorized" | "InteractiveAuthorizationRequired")
        {
            entry.polkit_result = "refused".into();
        }
        self.failed(error)
    }

    fn failed(&mut self, error: Error) -> Error {
        self.end(error.word(), error.text());
        error
    }

    fn done(mut self, call: &Call<'_>) {
        let Some(id) = call.started else {
            self.end("success", "");
            return;
        };
        if let Some(entry) = &mut self.entry {
            entry.task_run = Some(run_id(id));
        }
        tokio::spawn(async move {
            let (result, text) = ended(&self.peer.context.handle, id).await;
            self.end(&result, &text);
        });
    }

    fn end(&mut self, result: &str, text: &str) {
        if let Some(mut entry) = self.entry.take() {
            entry.phase = Phase::End;
            entry.result = result.to_owned();
            entry.text = text.to_owned();
            self.peer.context.sink.record(entry);
        }
    }
}
