#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::metrics::parse::{Limits, parse};

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

fn read(text: &str) -> Foreign {
    parse(text, &Limits::default()).unwrap().foreign
}

/// Looks at pages that `text` gives for each fifth second, and returns the last one completed.
fn live(from: u64, to: u64, text: impl Fn(u64) -> String) -> Foreign {
    let mut agent = Agent::default();
    agent.begin(Some(&Foreign::new()), at(from));
    let mut page = Foreign::new();
    for second in (from..=to).step_by(5) {
        page = read(&text(second));
        agent.complete(&mut page, at(second));
    }
    page
}

/// MET-05: two tasks a second, whatever came of them; a worker's own word wins.
#[test]
fn met_05_throughput_follows_from_tasks() {
    let tasks = |s: u64| {
        format!(
            "# TYPE reeve_agent_tasks_total counter\nreeve_agent_tasks_total{{outcome=\"ok\"}} {}\nreeve_agent_tasks_total{{outcome=\"failed\"}} {s}\n",
            s
        )
    };
    let page = live(0, 120, tasks);
    assert_eq!(page.sum("task_throughput"), Some(2.0));
    assert_eq!(page.get("task_throughput").unwrap().kind, Kind::Gauge);
    assert_eq!(live(0, 0, tasks).sum("task_throughput"), None, "too soon to say");
    let own = live(0, 120, |s| tasks(s) + "# TYPE task_throughput gauge\ntask_throughput 7\n");
    assert_eq!(own.sum("task_throughput"), Some(7.0));
}

/// MET-07: errors by answers, and nothing from too few of them.
#[test]
fn met_07_error_rate_has_a_minimum() {
    let page = |requests: u64| {
        live(0, 100, |s| {
            let done = requests * s / 100;
            format!(
                "# TYPE response_time histogram\nresponse_time_bucket{{le=\"+Inf\"}} {done}\nresponse_time_sum 1\nresponse_time_count {done}\n\
                 # TYPE reeve_agent_errors_total counter\nreeve_agent_errors_total{{kind=\"timeout\"}} {}\n",
                done / 4
            )
        })
    };
    assert_eq!(page(400).sum("error_rate"), Some(0.25));
    assert_eq!(page(8).sum("error_rate"), None);
    let tasks = live(0, 100, |s| {
        format!(
            "# TYPE reeve_agent_tasks_total counter\nreeve_agent_tasks_total {s}\n# TYPE reeve_agent_errors_total counter\nreeve_agent_errors_total {}\n",
            s / 2
        )
    });
    assert_eq!(tasks.sum("error_rate"), Some(0.5), "tasks stand for requests");
}

/// MET-13, MET-16: shares over five minutes; of nothing there is none.
#[test]
fn met_13_shares_are_of_five_minutes() {
    let page = live(0, 600, |s| {
        let bad = s.saturating_sub(300);
        format!(
            "# TYPE reeve_agent_consensus_rounds_total counter\nreeve_agent_consensus_rounds_total{{outcome=\"success\"}} {s}\n\
             reeve_agent_consensus_rounds_total{{outcome=\"timeout\"}} {bad}\n\
             # TYPE reeve_agent_plans_total counter\nreeve_agent_plans_total{{outcome=\"success\"}} 4\n"
        )
    });
    assert_eq!(page.sum("consensus_success_rate"), Some(0.5));
    assert_eq!(page.sum("planning_success_rate"), None, "no plan for five minutes");
}

/// MET-15: busy time by the clock; without it the CPU time of an agent.
#[test]
fn met_15_utilization_is_busy_or_cpu() {
    let busy = |s: u64| {
        format!("# TYPE reeve_agent_busy_seconds_total counter\nreeve_agent_busy_seconds_total {}\n", s as f64 * 0.75)
    };
    assert_eq!(live(0, 60, busy).sum("agent_utilization"), Some(0.75));
    let mut agent = Agent::default();
    agent.begin(Some(&Foreign::new()), at(0));
    let mut page = read("# TYPE queue_depth gauge\nqueue_depth 1\n");
    assert!(Agent::wants_cpu(&page));
    agent.cpu(15.0, at(30));
    agent.complete(&mut page, at(30));
    assert_eq!(page.sum("agent_utilization"), Some(0.5));
    assert!(!Agent::wants_cpu(&read("up 1\n")), "no agent");
}

/// MET-12: a minute's share is one observation.
#[test]
fn met_12_efficiency_is_observed_each_minute() {
    let page = live(0, 185, |s| {
        format!(
            "# TYPE reeve_agent_coordination_useful_seconds_total counter\nreeve_agent_coordination_useful_seconds_total {}\n\
             # TYPE reeve_agent_coordination_seconds_total counter\nreeve_agent_coordination_seconds_total {s}\n",
            s as f64 * 0.6
        )
    });
    let lines = &page.get("agent_coordination_efficiency").unwrap().lines;
    let count = lines.iter().find(|line| line.part == Part::Count).unwrap().value;
    let sum = lines.iter().find(|line| line.part == Part::Sum).unwrap().value;
    assert_eq!(count, 3.0);
    assert!((sum - 1.8).abs() < 0.01, "{sum}");
}

/// MET-14, MET-06, MET-16: both names are there; transports add up; a kind that is not said is the documented one.
#[test]
fn met_14_both_names_are_there() {
    let page = live(0, 0, |_| {
        let histogram = |name: &str, labels: &str, count: u64| {
            format!(
                "{name}_bucket{{{labels}le=\"1\"}} {count}\n{name}_bucket{{{labels}le=\"+Inf\"}} {count}\n\
                 {name}_sum{{{labels}}} {count}\n{name}_count{{{labels}}} {count}\n"
            )
        };
        let raw = "reeve_agent_message_delivery_latency_seconds";
        [
            format!("# TYPE {raw} histogram\n"),
            histogram(raw, "transport=\"mqtt\",", 2),
            histogram(raw, "transport=\"unix\",", 3),
            "# TYPE response_time histogram\n".to_owned(),
            histogram("response_time", "", 4),
            "# TYPE reasoning_chain_length histogram\n".to_owned(),
            histogram("reasoning_chain_length", "", 5),
            "queue_depth 9\n".to_owned(),
        ]
        .concat()
    });
    let count = |name: &str| {
        page.get(name).unwrap().lines.iter().filter(|line| line.part == Part::Count).map(|line| line.value).sum::<f64>()
    };
    assert_eq!(count("message_delivery_latency"), 5.0);
    assert_eq!(page.get("message_delivery_latency").unwrap().lines.len(), 4, "one series");
    assert_eq!(count("reeve_agent_response_seconds"), 4.0);
    assert_eq!(page.sum("reeve_agent_reasoning_steps_total"), Some(5.0));
    assert_eq!(page.get("queue_depth").unwrap().kind, Kind::Gauge);
    assert_eq!(page.get("error_rate"), None, "no request, no rate");
}
