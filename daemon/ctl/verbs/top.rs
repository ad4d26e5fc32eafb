//! `top`: what the node is doing, live (MET-22).

use crate::bus::proxy::Client;
use crate::ctl::args::TopArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::top::document::Document;
use crate::ctl::top::model::{Model, Picture};
use crate::ctl::top::screen::Screen;
use crate::ctl::top::state::Choices;
use crate::ctl::top::view::{self, Head};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Rates need two samples, and the daemon takes one in this time.
const SAMPLED: Duration = Duration::from_secs(6);

/// A live view on a terminal; else, or with `--once`, one table whose rates are of the last seconds.
pub async fn run(ctl: &Ctl, a: &TopArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let mut model = Model::default();
    let mut choices = Choices { sort: a.sort, ..Choices::default() };
    if a.once || ctl.global.json || !ctl.output.is_dialogue() {
        let (picture, head) = settled(&client, &mut model).await?;
        if ctl.global.json {
            ctl.document(&Document::new(&picture, &head))?;
        } else {
            ctl.show(&view::once(&picture, &head, &mut choices, &ctl.style))?;
        }
        return Ok(YES);
    }
    live(ctl, &client, &mut model, choices, a.delay).await
}

/// Looks until there are rates, or none can be expected.
async fn settled(client: &Client, model: &mut Model) -> Result<(Picture, Head), Failure> {
    let end = Instant::now() + SAMPLED;
    loop {
        let (picture, head) = look(client, model).await?;
        let measured = picture.cpu.is_some() && picture.replicas.iter().any(|r| r.cpu.is_some());
        if measured || Instant::now() >= end {
            return Ok((picture, head));
        }
        sleep_until(Instant::now() + Duration::from_millis(500)).await;
    }
}

async fn live(
    ctl: &Ctl,
    client: &Client,
    model: &mut Model,
    mut choices: Choices,
    delay: Duration,
) -> Result<u8, Failure> {
    let (mut picture, mut head) = look(client, model).await?;
    let screen = Screen::enter()?;
    let mut keys = screen.keys();
    let mut next = Instant::now() + delay;
    loop {
        screen.show(&view::screen(&picture, &head, &mut choices, &ctl.style, screen.size()))?;
        // Both are cancel safe: a key stays in its channel, a sleep has an end of its own.
        tokio::select! {
            key = keys.recv() => if !key.is_some_and(|key| choices.follow(key)) {
                return Ok(YES);
            },
            () = sleep_until(next) => {
                next = Instant::now() + delay;
                if !choices.paused {
                    (picture, head) = look(client, model).await?;
                }
            }
        }
    }
}

async fn look(client: &Client, model: &mut Model) -> Result<(Picture, Head), Failure> {
    let node = client.status().await.doing("read the node")?;
    let series = client.metrics(&[]).await.doing("read the metrics")?;
    let head = Head { node: node.node, state: node.state, status: node.status_line.unwrap_or_default() };
    Ok((model.take(&series), head))
}
