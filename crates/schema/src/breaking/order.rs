//! MessagePack's array layout, which identifies a field by its position.

use super::comparison::{BreakingChange, MessagePair};
use crate::table::{Field, Message};

/// Returns, for each field of `old`, the index of the field of `new` at the same position. The
/// index is `None` if there is no such field, or if both the names and the numbers of the two
/// fields differ.
pub(super) fn counterparts(old: &Message, new: &Message) -> Vec<Option<u32>> {
    let mut all = vec![None; old.fields.len()];
    for (old_field, new_field) in old.declared.iter().zip(&*new.declared) {
        if same(
            &old.fields[*old_field as usize],
            &new.fields[*new_field as usize],
        ) {
            all[*old_field as usize] = Some(*new_field);
        }
    }
    all
}

fn same(old_field: &Field, new_field: &Field) -> bool {
    old_field.name == new_field.name || old_field.number == new_field.number
}

/// Returns the break of the first field that changed its position, with the field's index in the
/// earlier message. Later fields are not reported, because they usually moved with the first field.
pub(super) fn moved(
    messages: &MessagePair<'_>,
    counterparts: &[Option<u32>],
) -> impl Iterator<Item = (u32, BreakingChange)> {
    let MessagePair { old, new, .. } = messages;
    let first_moved = old.declared.iter().enumerate().find_map(|(place, &index)| {
        let old_field = &old.fields[index as usize];
        let new_field = new.declared.get(place);
        let name = new_field.map(|new_field| &new.fields[*new_field as usize]);
        let same = new_field.is_some() && counterparts[index as usize] == new_field.copied();
        let value = place + 1;
        let what = match name {
            _ if same => return None,
            Some(name) => format!(
                "is no longer value {value} of the array layout; that value is now {}",
                name.name
            ),
            None => format!("was value {value} of the array layout, which is now shorter"),
        };
        let help = "declare new fields at the end and keep the others in their order,\n\
                    or set layout: map if no client writes arrays";
        Some((
            index,
            messages.field(&old_field.name, &old_field.name, what, help),
        ))
    });
    first_moved.into_iter()
}
