//! MessagePack's array layout, where a field is its place.

use super::comparison::{Break, Here};
use crate::table::{Field, Message};

/// For each field of `old` the one that stands in its place, if it is the same under another name or
/// number.
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

/// The first field whose place is another's now, and its index in the earlier message. All that follow
/// are moved with it.
pub(super) fn moved(
    here: &Here<'_>,
    counterparts: &[Option<u32>],
) -> impl Iterator<Item = (u32, Break)> {
    let Here { old, new, .. } = here;
    let gone = old.declared.iter().enumerate().find_map(|(place, &index)| {
        let was = &old.fields[index as usize];
        let now = new.declared.get(place);
        let name = now.map(|now| &new.fields[*now as usize]);
        let same = now.is_some() && counterparts[index as usize] == now.copied();
        let value = place + 1;
        let what = match name {
            _ if same => return None,
            Some(name) => format!(
                "is no longer value {value} of the array layout; that is {} now",
                name.name
            ),
            None => format!("was value {value} of the array layout, which is shorter now"),
        };
        let help = "declare new fields at the end and keep the others in their order,\n\
                    or say layout: map where no client writes arrays";
        Some((index, here.field(&was.name, &was.name, what, help)))
    });
    gone.into_iter()
}
