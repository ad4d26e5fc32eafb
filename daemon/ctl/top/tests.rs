//! Screens as people see them, without a terminal.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::model::{Model, Picture};
use super::state::{Choices, Key, Sort};
use super::view::{Head, Size, once, screen};
use crate::bus::proxy::Series;
use crate::ctl::fixtures::style;
use crate::ctl::render::Style;

/// A page such as the daemon gives, at its sample number `n`, five seconds apart.
fn page(n: u32) -> Vec<Series> {
    let n = f64::from(n);
    let text = format!(
        "reeve_source_last_success_timestamp_seconds source=cpu {t}
         reeve_source_last_success_timestamp_seconds source=pressure {t}
         reeve_source_last_success_timestamp_seconds source=workers {t}
         reeve_source_last_success_timestamp_seconds source=gpu {t}
         node_cpu_seconds_total cpu=0,mode=idle {idle}
         node_cpu_seconds_total cpu=0,mode=user {user}
         node_cpu_seconds_total cpu=1,mode=idle {idle}
         node_cpu_seconds_total cpu=1,mode=user {user}
         node_load1 - 1.5
         node_load5 - 1.25
         node_load15 - 0.75
         node_memory_MemTotal_bytes - 34359738368
         node_memory_MemAvailable_bytes - 8589934592
         node_pressure_cpu_waiting_seconds_total - {cpu}
         node_pressure_memory_waiting_seconds_total - {memory}
         node_pressure_io_waiting_seconds_total - 4
         reeve_gpu_info gpu=0,uuid=GPU-a,name=NVIDIA_H200 1
         reeve_gpu_up gpu=0,uuid=GPU-a 1
         reeve_gpu_utilization_ratio gpu=0,uuid=GPU-a {gpu}
         reeve_gpu_memory_total_bytes gpu=0,uuid=GPU-a 151397597184
         reeve_gpu_memory_used_bytes gpu=0,uuid=GPU-a 75698798592
         reeve_gpu_power_watts gpu=0,uuid=GPU-a 512.4
         reeve_gpu_power_limit_watts gpu=0,uuid=GPU-a 700
         reeve_gpu_temperature_celsius gpu=0,uuid=GPU-a,sensor=gpu 64
         reeve_gpu_temperature_celsius gpu=0,uuid=GPU-a,sensor=memory 82
         reeve_gpu_info gpu=1,uuid=GPU-b,name=NVIDIA_H200 1
         reeve_gpu_up gpu=1,uuid=GPU-b 0
         reeve_gpu_health gpu=1,uuid=GPU-b,check=xid 0
         reeve_worker_state worker=coordinator,replica=1,state=ready 1
         reeve_worker_cpu_usage_seconds_total worker=coordinator,replica=1 {c}
         reeve_worker_memory_working_set_bytes worker=coordinator,replica=1 268435456
         reeve_worker_state worker=executor,replica=2,state=ready 1
         reeve_worker_cpu_usage_seconds_total worker=executor,replica=2 {e}
         reeve_worker_memory_working_set_bytes worker=executor,replica=2 8375186227
         reeve_worker_memory_limit_bytes worker=executor,replica=2 8589934592
         reeve_worker_gpu_memory_used_bytes worker=executor,replica=2,gpu=0 75698798592
         reeve_worker_gpu_sm_utilization_ratio worker=executor,replica=2,gpu=0 {gpu}
         reeve_worker_restarts_total worker=executor,replica=2,reason=oom 2
         reeve_worker_restarts_total worker=executor,replica=2,reason=exit 1
         reeve_worker_active_tasks worker=executor,replica=2 3
         queue_depth worker=executor,replica=2 14
         reeve_worker_state worker=executor,replica=10,state=crash-loop 1
         reeve_worker_state worker=executor,replica=11,state=stopped 1
         reeve_worker_state worker=executor,replica=11,state=ready 0",
        t = 1000.0 + 5.0 * n,
        idle = 100.0 + 2.0 * n,
        user = 50.0 + 3.0 * n,
        cpu = 10.0 + 1.25 * n,
        memory = 3.0 + 0.1 * n,
        gpu = 0.25 * n,
        c = 7.0 + 0.2 * n,
        e = 90.0 + 5.5 * n,
    );
    text.lines().map(series).collect()
}

fn series(line: &str) -> Series {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, labels, value] = words[..] else { panic!("{line}") };
    let labels = labels.split(',').filter_map(|pair| pair.split_once('='));
    let labels = labels.map(|(k, v)| (k.to_owned(), v.replace('_', " "))).collect();
    Series { name: name.to_owned(), labels, value: value.parse().unwrap() }
}

fn head() -> Head {
    let status = "2 of 4 workers ready; leads itself".to_owned();
    Head { node: "gpu-07".to_owned(), state: "degraded".to_owned(), status }
}

fn picture() -> Picture {
    let mut model = Model::default();
    model.take(&page(1));
    model.take(&page(2));
    model.take(&page(3))
}

#[test]
fn met_22_a_screen_of_80_by_24_shows_node_cards_and_workers() {
    let size = Size { columns: 80, rows: 24 };
    let lines = screen(&picture(), &head(), &mut Choices::default(), &style(), size);
    assert_eq!(lines.len(), 24);
    assert!(lines.iter().all(|l| l.chars().count() <= 80), "{lines:#?}");
    let expected = "\
● gpu-07 (degraded)
  2 of 4 workers ready; leads itself
CPU [████████████░░░░░░░░]   60% of 2    load 1.50 1.25 0.75     ▅▅
MEM [███████████████░░░░░]   75% 24.0G of 32.0G wait: CPU 25% mem 2% I/O 0%
GPU0 [███████████████░░░░░]  75%  70.5G/141.0G  512/700W  64C ▃▅▆ NVIDIA H200
GPU1 [                    ]    -             -         -    - lost, xid

   REPLICA        STATE       CPU^  MEMORY  LIMIT  GPU  GPUMEM  TASKS  RESTARTS
●  executor/2     ready       1.10    7.7G   8.0G  75%   70.5G     17         3
●  coordinator/1  ready       0.04  256.0M      -    -       -      -         0
×  executor/10    crash-loop     -       -      -    -       -      -         0
○  executor/11    stopped        -       -      -    -       -      -         0
";
    let shown = lines.join("\n");
    assert!(shown.starts_with(expected), "{shown}");
    assert!(lines.last().unwrap().starts_with("q quit  c CPU"));
}

#[test]
fn met_22_looking_again_before_the_next_sample_keeps_the_rates() {
    let mut model = Model::default();
    assert_eq!(model.take(&page(1)).cpu, None);
    let first = model.take(&page(2));
    let again = model.take(&page(2));
    assert_eq!(first, again);
    assert_eq!(first.history.len(), 1);
}

#[test]
fn met_22_keys_sort_and_leave_out_what_rests() {
    let picture = picture();
    let mut choices = Choices::default();
    let names =
        |choices: &mut Choices| -> Vec<String> { choices.rows(&picture, 20).iter().map(|r| r.name.clone()).collect() };
    assert!(choices.follow(Key::Sort(Sort::Name)));
    assert_eq!(names(&mut choices), ["coordinator/1", "executor/2", "executor/10", "executor/11"]);
    choices.follow(Key::Idle);
    assert_eq!(names(&mut choices), ["coordinator/1", "executor/2"]);
    choices.follow(Key::Sort(Sort::Gpu));
    assert_eq!(names(&mut choices)[0], "executor/2");
    choices.follow(Key::End);
    choices.rows(&picture, 1);
    assert_eq!(choices.skip, 1);
    assert!(!choices.follow(Key::Quit));
}

#[test]
fn met_22_without_colour_and_utf8_it_is_plain_text() {
    let plain = Style { utf8: false, ..style() };
    let shown = once(&picture(), &head(), &mut Choices::default(), &plain);
    assert!(shown.is_ascii(), "{shown}");
    assert!(shown.contains("[############--------]"), "{shown}");
    let colour = Style { color: true, ..style() };
    let shown = once(&picture(), &head(), &mut Choices::default(), &colour);
    assert!(shown.contains("\u{1b}["));
}
