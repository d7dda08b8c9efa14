//! Compiles the rules of messages from descriptors and tables, and reports each error at its place.
//!
//! The messages *below* a message are the types of its fields, at any depth.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use ::protobuf::Message as _;
use ::protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::{Descriptors, OptionPlaces};

use super::check::Check;
use super::collected::Collected;
use super::combined::plan::CombinedPlans;
use super::expression::compile as expressions;
use super::expression::plan::ExpressionPlans;
use super::field::{self, FieldOption, Ignore};
use super::kind::RuleKind;
use super::message;
use super::option::{entries, is_set, rules_in};
use super::plan::{
    ChoicePlan, FieldPlan, FieldRules, ListPlan, MapPlan, MessagePlan, OneofPlan, PlanId, Plans,
    ValuePlan,
};
use super::read;
use crate::table::{Cardinality, Field, FieldKind, MessageId, Table};

/// The maximum size in bytes of the compiled regular expressions of all `pattern` rules together. A
/// short pattern may have a large compiled form, so the size of the files does not bound this size.
const PATTERN_BYTES_MAX: usize = 128 << 20;

/// The compiled rules of some messages and of all messages below them.
#[derive(Debug)]
pub(super) struct Compiled {
    pub plans: Plans,
    pub combined: CombinedPlans,
    pub expressions: ExpressionPlans,
}

/// Compiles the rules of `roots` and of all messages below them. Adds errors and warnings about
/// rules to `found`.
pub(super) fn compile(
    descriptors: &Descriptors,
    table: &Arc<Table>,
    roots: &[MessageId],
    found: &mut Diagnostics,
) -> Compiled {
    let mut compiler = Compiler {
        descriptors,
        table,
        found,
        places: descriptors.option_places(),
        options: FxHashMap::default(),
        order: Vec::new(),
        pattern_bytes: 0,
    };
    for root in roots {
        compiler.collect(*root);
    }
    let ruled = compiler.reach(Collected::have_standard);
    let expressed = compiler.reach(Collected::have_expressions);
    let is_expressed = |id: &MessageId| expressed[&id.0] && !table[*id].map_entry;
    let order: Vec<_> = compiler
        .order
        .iter()
        .copied()
        .filter(is_expressed)
        .collect();
    let expressions = expressions::compile(
        descriptors,
        table,
        &order,
        &compiler.options,
        compiler.found,
    );
    let plans = compiler.plans(&ruled);
    Compiled {
        combined: CombinedPlans::new(table, &plans),
        plans,
        expressions,
    }
}

struct Compiler<'a> {
    descriptors: &'a Descriptors,
    table: &'a Table,
    found: &'a mut Diagnostics,
    places: OptionPlaces<'a>,
    /// The options of each message, by the number of its [`MessageId`].
    options: FxHashMap<u32, Collected>,
    /// The messages in the order in which they were found.
    order: Vec<MessageId>,
    /// The size in bytes of all regular expressions that were compiled so far.
    pattern_bytes: usize,
}

impl Compiler<'_> {
    /// Reads the options of a message and of all messages below it.
    fn collect(&mut self, root: MessageId) {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if self.options.contains_key(&id.0) {
                continue;
            }
            let options = self.options_of(id);
            open.extend(below(self.table, id, &options));
            self.options.insert(id.0, options);
            self.order.push(id);
        }
    }

    fn options_of(&mut self, id: MessageId) -> Collected {
        let name = self.table.name(id).to_owned();
        let Some(descriptor) = self.descriptors.message(&name) else {
            return Collected::default();
        };
        let mut options = Collected::default();
        let rules = rules_in(descriptor.options.special_fields().unknown_fields());
        if let Some(rules) = rules {
            match message::read(&rules, &self.table[id]) {
                Ok(message) => options.message = message,
                Err(fault) => self.fault(&name, None, fault),
            }
        }
        if options.message.disabled {
            options.message.choices.clear();
            options.message.expressions.clear();
            return options;
        }
        options.oneofs = self.oneofs(&name, descriptor);
        for field in &descriptor.field {
            if let Some(option) = self.field_option(&name, field) {
                let index = self.table[id].by_number(field.number() as u32);
                options.fields.extend(index.map(|index| (index, option)));
            }
        }
        options
    }

    fn oneofs(&mut self, name: &str, descriptor: &DescriptorProto) -> Vec<OneofPlan> {
        let mut oneofs = Vec::new();
        for (index, oneof) in (0..).zip(&descriptor.oneof_decl) {
            let rules = rules_in(oneof.options.special_fields().unknown_fields());
            let Some(rules) = rules else { continue };
            match entries(&rules) {
                Some(entries) if entries.iter().all(|entry| entry.number == 1) => {
                    if is_set(&entries, 1) {
                        oneofs.push(OneofPlan {
                            index,
                            name: oneof.name().into(),
                        });
                    }
                }
                _ => {
                    let fault = format!("unknown rules of oneof {}", oneof.name());
                    self.fault(name, None, fault);
                }
            }
        }
        oneofs
    }

    fn field_option(&mut self, name: &str, field: &FieldDescriptorProto) -> Option<FieldOption> {
        let rules = rules_in(field.options.special_fields().unknown_fields())?;
        match field::read(&rules) {
            Ok(option) => Some(option),
            Err(fault) => {
                self.fault(name, Some(field.name()), fault);
                None
            }
        }
    }

    fn fault(&mut self, message: &str, field: Option<&str>, fault: String) {
        let what = match field {
            Some(field) => format!("{message}.{field}"),
            None => message.to_owned(),
        };
        let error = Diagnostic::error(format!("bad rules of {what}: {fault}"));
        let places = &mut self.places;
        self.found.push_at(error, || places.of_rule(message, field));
    }

    /// Returns for each message, by the number of its [`MessageId`], whether `has` returns true for
    /// the options of the message or of a message below it.
    fn reach(&self, has: impl Fn(&Collected) -> bool) -> FxHashMap<u32, bool> {
        let mut above: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (&id, options) in &self.options {
            for inner in below(self.table, MessageId(id), options) {
                above.entry(inner.0).or_default().push(id);
            }
        }
        let mut reached: FxHashMap<_, _> = self
            .options
            .iter()
            .map(|(&id, options)| (id, has(options)))
            .collect();
        let mut open: Vec<u32> = reached
            .iter()
            .filter(|(_, has)| **has)
            .map(|(&id, _)| id)
            .collect();
        while let Some(id) = open.pop() {
            for outer in above.get(&id).into_iter().flatten() {
                if let Some(has @ false) = reached.get_mut(outer) {
                    *has = true;
                    open.push(*outer);
                }
            }
        }
        reached
    }

    /// Returns the rules of the messages for which `ruled` is true. Map entries are left out.
    fn plans(&mut self, ruled: &FxHashMap<u32, bool>) -> Plans {
        let order = std::mem::take(&mut self.order);
        let is_ruled = |id: &MessageId| ruled[&id.0] && !self.table[*id].map_entry;
        let order: Vec<_> = order.into_iter().filter(is_ruled).collect();
        let by_message = (0..).zip(&order).map(|(place, id)| (id.0, PlanId(place)));
        let by_message = by_message.collect();
        let mut plans = Plans {
            messages: Vec::new(),
            by_message,
        };
        for id in order {
            let options = self.options.remove(&id.0).unwrap_or_default();
            let plan = self.message_plan(id, options, &plans);
            plans.messages.push(plan);
        }
        plans
    }

    fn message_plan(
        &mut self,
        id: MessageId,
        mut options: Collected,
        plans: &Plans,
    ) -> MessagePlan {
        let table = self.table;
        let message = &table[id];
        let mut fields = Vec::new();
        let mut places = vec![None; message.fields.len()];
        for &index in &message.declared {
            let field = &message.fields[index as usize];
            let chosen = options.message.choices.iter();
            let chosen = chosen
                .flat_map(|choice| &choice.fields)
                .any(|&named| named == index);
            let option = options.fields.remove(&index).unwrap_or_default();
            if option.ignore == Ignore::Always && !chosen {
                continue;
            }
            let plan = self.field_plan(id, field, (index, option, chosen), plans);
            if let Some(plan) = plan {
                places[index as usize] = Some(fields.len() as u32);
                fields.push(plan);
            }
        }
        let ruled = fields
            .iter()
            .filter_map(|plan: &FieldPlan| message.fields[plan.index as usize].oneof);
        let oneofs = ruled.chain(options.oneofs.iter().map(|oneof| oneof.index));
        let oneof_count = oneofs.max().map_or(0, |last| last as usize + 1);
        let place = |index: &u32| places[*index as usize].map(|place: u32| place as usize);
        let choices = options.message.choices.iter().map(|choice| {
            let names = choice
                .fields
                .iter()
                .map(|&index| &*message.fields[index as usize].name);
            ChoicePlan {
                fields: choice.fields.iter().filter_map(place).collect(),
                names: names.collect::<Vec<_>>().join(", ").into(),
                required: choice.required,
            }
        });
        let choices = choices.collect();
        MessagePlan {
            message: id,
            fields: fields.into(),
            oneofs: options.oneofs.into(),
            choices,
            oneof_count,
            places: places.into(),
        }
    }

    /// Returns the rules of a field. `chosen` is true if a oneof rule of the message names the
    /// field. Returns `None` if the field has no rules and `chosen` is false. Also returns `None`
    /// if the rules of the field are bad, and reports the error.
    fn field_plan(
        &mut self,
        id: MessageId,
        field: &Field,
        (index, option, chosen): (u32, FieldOption, bool),
        plans: &Plans,
    ) -> Option<FieldPlan> {
        let rules = if option.ignore == Ignore::Always {
            Ok(FieldRules::One(ValuePlan::default()))
        } else {
            self.field_rules(field, &option, plans)
        };
        let rules = match rules {
            Ok(rules) => rules,
            Err(fault) => {
                let name = self.table.name(id).to_owned();
                self.fault(&name, Some(&field.name), fault);
                return None;
            }
        };
        let singular = field.cardinality == Cardinality::Singular;
        let has_presence = singular && !field.implicit;
        let if_zero =
            option.ignore == Ignore::IfZero || chosen && option.ignore == Ignore::Unspecified;
        let judges_absent = !has_presence && !if_zero && option.ignore != Ignore::Always;
        let required = option.required && option.ignore != Ignore::Always && !field.required;
        let has_rules = required || chosen || !is_empty(&rules);
        has_rules.then_some(FieldPlan {
            index,
            required,
            judges_absent,
            implicit: field.implicit,
            rules,
        })
    }

    fn field_rules(
        &mut self,
        field: &Field,
        option: &FieldOption,
        plans: &Plans,
    ) -> Result<FieldRules, String> {
        let own = option.rules.as_ref();
        if let Some((kind, _)) = own {
            self.fits(*kind, field.kind, field.cardinality)?;
        }
        let inner = match own {
            Some((_, message)) => field::elements(message)?,
            None => [None, None],
        };
        match field.cardinality {
            Cardinality::Singular => Ok(FieldRules::One(self.value(
                field.kind,
                own,
                Ignore::Unspecified,
                plans,
            )?)),
            Cardinality::Repeated => {
                let unique = match own {
                    Some((_, message)) => is_set(&entries(message).unwrap_or_default(), 3),
                    None => false,
                };
                if unique && field.kind.message().is_some() {
                    let fault = "repeated.unique is a rule of scalars and enums, not of messages";
                    return Err(fault.to_owned());
                }
                Ok(FieldRules::List(ListPlan {
                    counts: self.checks(own, field.kind)?.into(),
                    unique,
                    items: self.element(field.kind, inner[0].as_deref(), plans)?,
                }))
            }
            Cardinality::Map => {
                let entry = field.kind.message().map(|id| &*self.table[id].fields);
                let Some([key, value]) = entry else {
                    return Err("a map without keys and values".to_owned());
                };
                Ok(FieldRules::Map(MapPlan {
                    counts: self.checks(own, field.kind)?.into(),
                    keys: self.element(key.kind, inner[0].as_deref(), plans)?,
                    values: self.element(value.kind, inner[1].as_deref(), plans)?,
                }))
            }
        }
    }

    /// Returns the rules of an element, key or map value. `message` is the encoded option that
    /// holds these rules, or `None` if there is no such option.
    fn element(
        &mut self,
        kind: FieldKind,
        message: Option<&[u8]>,
        plans: &Plans,
    ) -> Result<ValuePlan, String> {
        let option = match message {
            Some(message) => field::read_element(message)?,
            None => FieldOption::default(),
        };
        if option.ignore == Ignore::Always {
            return Ok(ValuePlan::default());
        }
        if let Some((kind_of_rules, _)) = &option.rules {
            self.fits(*kind_of_rules, kind, Cardinality::Singular)?;
        }
        self.value(kind, option.rules.as_ref(), option.ignore, plans)
    }

    fn value(
        &mut self,
        kind: FieldKind,
        own: Option<&(RuleKind, Vec<u8>)>,
        ignore: Ignore,
        plans: &Plans,
    ) -> Result<ValuePlan, String> {
        Ok(ValuePlan {
            checks: self.checks(own, kind)?.into(),
            // A message that is present is never zero.
            skips_zero: ignore == Ignore::IfZero && kind.message().is_none(),
            nested: kind.message().and_then(|id| plans.of(id)),
        })
    }

    fn checks(
        &mut self,
        own: Option<&(RuleKind, Vec<u8>)>,
        kind: FieldKind,
    ) -> Result<Vec<Check>, String> {
        let Some((rule_kind, message)) = own else {
            return Ok(Vec::new());
        };
        // The excess was reported, so the rules are not used.
        if self.pattern_bytes > PATTERN_BYTES_MAX {
            return Ok(Vec::new());
        }
        let defined = match kind {
            FieldKind::Enum(id) => Some(&*self.table[id].numbers),
            _ => None,
        };
        let read = read::rules(*rule_kind, message, defined)?;
        self.pattern_bytes += read.pattern_bytes;
        if self.pattern_bytes > PATTERN_BYTES_MAX {
            return Err(format!(
                "the patterns up to this one together compile to more than {PATTERN_BYTES_MAX} bytes"
            ));
        }
        Ok(read.checks)
    }

    /// Checks that a field of type `field_kind` and this cardinality takes rules of `kind`.
    fn fits(
        &self,
        kind: RuleKind,
        field_kind: FieldKind,
        cardinality: Cardinality,
    ) -> Result<(), String> {
        let expected = RuleKind::of_field(self.table, field_kind, cardinality);
        let given = kind.name();
        let label = match cardinality {
            Cardinality::Singular => field_kind.label(self.table).to_owned(),
            Cardinality::Repeated => format!("repeated {}", field_kind.label(self.table)),
            Cardinality::Map => "map".to_owned(),
        };
        match expected {
            Some(expected) if expected == kind => Ok(()),
            Some(expected) => Err(format!(
                "{given} rules on a value of type {label}, which takes {} rules",
                expected.name()
            )),
            None => Err(format!(
                "{given} rules on a value of type {label}, which takes no standard rules"
            )),
        }
    }
}

fn is_empty(rules: &FieldRules) -> bool {
    match rules {
        FieldRules::One(value) => value.is_empty(),
        FieldRules::List(list) => list.counts.is_empty() && !list.unique && list.items.is_empty(),
        FieldRules::Map(map) => {
            map.counts.is_empty() && map.keys.is_empty() && map.values.is_empty()
        }
    }
}

/// Returns the message types of the fields of a message. Extensions and ignored fields are left
/// out, because their values are not checked against rules. If the rules of the message are
/// disabled, no types are returned.
fn below<'a>(
    table: &'a Table,
    id: MessageId,
    options: &'a Collected,
) -> impl Iterator<Item = MessageId> + 'a {
    let disabled = options.message.disabled;
    let fields = (0u32..)
        .zip(&table[id].fields)
        .filter(move |(index, field)| {
            let option = options.fields.get(index);
            let ignored = option.is_some_and(|option| option.ignore == Ignore::Always);
            // In the table, the name of an extension is in brackets.
            !disabled && !ignored && !field.name.starts_with('[')
        });
    fields.filter_map(|(_, field)| field.kind.message())
}
