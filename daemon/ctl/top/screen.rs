//! The terminal: the only place that knows crossterm.

use super::state::{Key, Sort};
use super::view::Size;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use std::io::{self, Write};
use tokio::sync::mpsc;

/// The terminal while it is ours; given back as it was when this is dropped, and before a panic is told.
#[derive(Debug)]
pub struct Screen(());

impl Screen {
    /// Takes the terminal over.
    pub fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
        let screen = Self(());
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Shows these lines, in one write, so that nothing flickers.
    pub fn show(&self, lines: &[String]) -> io::Result<()> {
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate, MoveTo(0, 0))?;
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(line.as_bytes());
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }

    /// How large it is; 80×24 where it does not tell.
    pub fn size(&self) -> Size {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        Size { columns: usize::from(columns).max(20), rows: usize::from(rows).max(6) }
    }

    /// Keys as they are pressed; the thread that waits for them ends with the program.
    pub fn keys(&self) -> mpsc::UnboundedReceiver<Key> {
        let (send, keys) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if let Some(key) = key(&event)
                    && send.send(key).is_err()
                {
                    return;
                }
            }
            // The terminal is gone.
            let _ = send.send(Key::Quit);
        });
        keys
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    // There is nobody to tell.
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

fn key(event: &Event) -> Option<Key> {
    let (code, control) = match event {
        Event::Resize(..) => return Some(Key::Redraw),
        Event::Key(KeyEvent { code, modifiers, kind, .. }) if *kind != KeyEventKind::Release => {
            (*code, modifiers.contains(KeyModifiers::CONTROL))
        }
        _ => return None,
    };
    Some(match code {
        KeyCode::Char('c') if control => Key::Quit,
        KeyCode::Char('l') if control => Key::Redraw,
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Char('c') => Key::Sort(Sort::Cpu),
        KeyCode::Char('m') => Key::Sort(Sort::Memory),
        KeyCode::Char('g') => Key::Sort(Sort::Gpu),
        KeyCode::Char('n') => Key::Sort(Sort::Name),
        KeyCode::Char('i') => Key::Idle,
        KeyCode::Char(' ') => Key::Pause,
        KeyCode::Up | KeyCode::Char('k') => Key::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Key::Move(1),
        KeyCode::PageUp => Key::Move(-10),
        KeyCode::PageDown => Key::Move(10),
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_last_line_says() {
        let press = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |code| press(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Char('c')), Some(Key::Sort(Sort::Cpu)));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(plain(KeyCode::PageDown), Some(Key::Move(10)));
        assert_eq!(plain(KeyCode::F(5)), None);
        assert_eq!(key(&Event::Resize(80, 24)), Some(Key::Redraw));
    }
}
