//! MessagePack's array layout, which identifies a field by its place.

use super::comparison::{BreakingChange, MessagePair};
use crate::table::{Field, Message};

/// Returns for each field of `old` the field that now has its place, if the two fields have the
/// same name or the same number.
pub(super) fn counterparts(old: &Message, new: &Message) -> Vec<Option<u32>> {
    let mut all = vec![None; old.fields.len()];
    for (was, now) in old.declared.iter().zip(&*new.declared) {
        if same(&old.fields[*was as usize], &new.fields[*now as usize]) {
            all[*was as usize] = Some(*now);
        }
    }
    all
}

fn same(was: &Field, now: &Field) -> bool {
    was.name == now.name || was.number == now.number
}

/// Returns the break of the first field that no longer has its place, with the field's index in the
/// earlier message. Later fields are not reported, because they usually moved with the first.
pub(super) fn moved(
    here: &MessagePair<'_>,
    counterparts: &[Option<u32>],
) -> impl Iterator<Item = (u32, BreakingChange)> {
    let MessagePair { old, new, .. } = here;
    let gone = old.declared.iter().enumerate().find_map(|(place, &index)| {
        let was = &old.fields[index as usize];
        let now = new.declared.get(place);
        let name = now.map(|now| &new.fields[*now as usize]);
        let same = now.is_some() && counterparts[index as usize] == now.copied();
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
                    or say layout: map where no client writes arrays";
        Some((index, here.field(&was.name, &was.name, what, help)))
    });
    gone.into_iter()
}
