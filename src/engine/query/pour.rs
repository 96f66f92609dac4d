//! Rows that are made on the pool without a plan of the query engine.

use super::QueryEngine;
use crate::diagnostic::Diagnostic;
use crate::engine::context::CancelFlag;
use crate::storage::View;
use datafusion::arrow::array::RecordBatch;
use futures::SinkExt;
use futures::channel::mpsc;
use std::pin::pin;
use std::time::Duration;

/// Batches made before the session has taken them.
pub(super) const BATCHES_AHEAD: usize = 2;
/// How often a statement whose rows nobody takes looks at the age of its snapshot.
const AGE_INTERVAL: Duration = Duration::from_millis(500);

impl QueryEngine {
    /// Has the pool ask `next` for batches until it has none, or nobody takes them any more. It may block for
    /// a batch's time. A client that does not come for its rows keeps `view` no longer than any other.
    pub fn pour(
        &self,
        mut next: impl FnMut() -> Result<Option<RecordBatch>, Diagnostic> + Send + 'static,
        view: View,
        cancel: CancelFlag,
    ) -> mpsc::Receiver<Result<RecordBatch, Diagnostic>> {
        let (mut sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        self.pool().handle().spawn(async move {
            loop {
                let batch = match cancel.check().and_then(|()| next()) {
                    Ok(None) => return,
                    Ok(Some(batch)) => Ok(batch),
                    Err(error) => Err(error),
                };
                let last = batch.is_err();
                match send(&mut sender, batch, Some(&view)).await {
                    Ok(true) if !last => tokio::task::yield_now().await,
                    Ok(_) => return,
                    Err(too_old) => {
                        // Nobody listening any more is no error.
                        let _ = sender.send(Err(too_old)).await;
                        return;
                    }
                }
            }
        });
        receiver
    }
}

pub(super) type Batch = Result<RecordBatch, Diagnostic>;

/// Hands a batch to the session; false when nobody wants it any more. A client that does not come
/// for its rows, an idle portal's, keeps the snapshot no longer than any other may be.
///
/// # Errors
/// 72000 once the snapshot has been given up.
pub(super) async fn send(
    sender: &mut mpsc::Sender<Batch>,
    batch: Batch,
    view: Option<&View>,
) -> Result<bool, Diagnostic> {
    let mut sending = pin!(sender.send(batch));
    loop {
        if let Ok(sent) = tokio::time::timeout(AGE_INTERVAL, &mut sending).await {
            return Ok(sent.is_ok());
        }
        if let Some(view) = view {
            view.check_age()?;
        }
    }
}
