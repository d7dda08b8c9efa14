//! One occurrence of a message in a payload: its type, and the fields that are required there.

use crate::needs::{IndexSet, Needs};
use crate::table::{Message, MessageId, Table};
use crate::violation::{Checked, Fault, Gather, NONE, REQUIRED};

/// The type of one occurrence of a message, and the fields that this occurrence must hold.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub message: &'a Message,
    pub needs: &'a Needs,
}

impl<'a> Scope<'a> {
    /// Returns the scope for a message of type `id` in the field `index` of this message.
    #[inline]
    pub(crate) fn child(self, table: &'a Table, index: u32, id: MessageId) -> Self {
        let message = &table[id];
        let needs = self.needs.child(index).unwrap_or(&message.needs);
        Self { message, needs }
    }

    /// Reports every required field that is not in `seen`; `seen` is `None` if no field is
    /// required.
    #[inline]
    pub(crate) fn complete(
        self,
        seen: Option<&IndexSet>,
        offset: usize,
        faults: &mut impl Gather,
    ) -> Checked<()> {
        let Some(seen) = seen else { return Ok(()) };
        for index in self.needs.missing(seen) {
            faults.keep(self.lacks(index, offset), || Ok(()))?;
        }
        Ok(())
    }

    #[cold]
    fn lacks(self, index: u32, offset: usize) -> Box<Fault> {
        let name = &*self.message.fields[index as usize].name;
        let fault = Fault::new(offset, REQUIRED, NONE).after_value();
        // A map entry is not a level of the path.
        if self.message.map_entry {
            fault
        } else {
            fault.under(name)
        }
    }
}
