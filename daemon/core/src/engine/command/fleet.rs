//! What the fleet is asked for: the operation waits here, the fleet's own machine answers.

use super::{Answer, Core, Effect};
use crate::effect::Accepted;
use crate::engine::operation::Goal;
use crate::event::{CommandRequest, Standing};
use crate::fleet::FleetCommand;
use crate::ids::OperationId;

impl Core {
    pub(super) fn ask_fleet(&mut self, request: &CommandRequest, asked: &FleetCommand) -> Answer {
        if request.dry_run {
            return Ok(Accepted::Done);
        }
        let id = self.begin_operation(request, asked.what(), Goal::Fleet, &[]);
        let reason = request.reason.clone().unwrap_or_default();
        self.emit(Effect::Fleet { id, command: asked.clone(), by: request.by.clone(), reason });
        Ok(Accepted::Operation(id))
    }

    /// The fleet has answered.
    pub(in crate::engine) fn fleet_says(&mut self, id: OperationId, standing: Standing) {
        match standing {
            Standing::Done(text) => self.end_operation(id, "success", &text),
            Standing::Failed(text) => self.end_operation(id, "failed", &text),
            Standing::Waits(text) => {
                if let Some(operation) = self.operations.get_mut(&id).filter(|o| o.ended.is_none()) {
                    operation.message = text;
                }
            }
        }
    }
}
