//! The event stream of a page: what has changed meanwhile

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::page::PageError;

/// How often a page is drawn anew. Beats come more slowly, and nobody counts seconds here.
const REFRESH_MS: u64 = 2_000;

/// Fragments that may wait for a slow page.
const WAITING_MAX: usize = 2;

/// Draws a fragment again and again and sends it when it has changed, until the page is gone.
pub fn follow<D, F>(draw: D) -> Response
where
    D: Fn() -> F + Send + 'static,
    F: Future<Output = Result<String, PageError>> + Send,
{
    let (news, waiting) = mpsc::channel::<Result<Event, Infallible>>(WAITING_MAX);
    tokio::spawn(async move {
        let mut sent = String::new();
        loop {
            let Ok(drawn) = draw().await else { return };
            if drawn != sent {
                // An event is made of lines, and a remark may hold anything.
                let event = Event::default().data(drawn.replace(['\r', '\n'], " "));
                if news.send(Ok(event)).await.is_err() {
                    return;
                }
                sent = drawn;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(REFRESH_MS)) => {}
                () = news.closed() => return,
            }
        }
    });
    Sse::new(ReceiverStream::new(waiting)).keep_alive(KeepAlive::default()).into_response()
}
