//! Compiles rules in CEL into programs, and reports each error at its place in the expression.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_cel::{
    CompileError, Environment, Failure, MessageId as CelId, Program, Schema as _, Span, Type,
};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};
use gateway_proto::{Descriptors, OptionPlaces};
use rustc_hash::FxHashMap;

use super::extensions::{Extension, all_extensions};
use super::functions;
use super::plan::{
    ExpressionPlan, ExpressionPlanId, ExpressionPlans, FieldExpressions, ValueExpressions,
};
use super::program::{Expression, NOW, Predefined};
use super::scalars::ScalarRules;
use super::schema::{TableSchema, kind};
use super::text::RuleText;
use crate::rules::collected::Collected;
use crate::rules::field::{self, FieldOption, Ignore};
use crate::rules::kind::RuleKind;
use crate::rules::option::entries;
use crate::rules::read::EXTENSIONS;
use crate::table::{Cardinality, Field, FieldKind, MessageId, Table};

/// The maximum size in bytes of all expressions together. This is enough for about ten thousand
/// expressions, which compile in about a second.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Compiles the rules in CEL that `messages` carry, and adds errors and warnings about the rules to
/// `found`. `options` holds the options of each message, by the number of its [`MessageId`].
pub(in crate::rules) fn compile(
    descriptors: &Descriptors,
    table: &Arc<Table>,
    messages: &[MessageId],
    options: &FxHashMap<u32, Collected>,
    found: &mut Diagnostics,
) -> ExpressionPlans {
    let places = (0..).zip(messages);
    let mut plans = ExpressionPlans {
        by_message: places
            .map(|(place, id)| (id.0, ExpressionPlanId(place)))
            .collect(),
        ..ExpressionPlans::default()
    };
    if messages.is_empty() {
        return plans;
    }
    let schema = Arc::new(TableSchema::new(descriptors, table));
    let mut environment = Environment::new(schema.clone());
    functions::add(&mut environment);
    let mut compiler = Compiler {
        descriptors,
        table,
        schema: &schema,
        environment,
        extensions: None,
        found,
        places: descriptors.option_places(),
        text_bytes: 0,
    };
    for &id in messages {
        if let Some(options) = options.get(&id.0) {
            let plan = compiler.message(id, options, &mut plans);
            plans.messages.push(plan);
        }
    }
    plans.wanted.finish(table);
    for plan in &mut plans.messages {
        if plan.fields.is_empty() && plans.wanted.is_sound(plan.message, &table[plan.message]) {
            plan.scalars = ScalarRules::of(table, plan.message, &plan.own);
        }
    }
    plans
}

struct Compiler<'a> {
    descriptors: &'a Descriptors,
    table: &'a Table,
    schema: &'a TableSchema,
    environment: Environment,
    /// All extensions, by their full names. The extensions are read when the first one is needed.
    extensions: Option<HashMap<String, Extension<'a>>>,
    found: &'a mut Diagnostics,
    places: OptionPlaces<'a>,
    /// The total length in bytes of the expressions that were read so far.
    text_bytes: usize,
}

/// The owner of rules: a message or a field.
struct Owner<'a> {
    message: &'a str,
    field: Option<&'a str>,
}

impl Owner<'_> {
    fn name(&self) -> String {
        match self.field {
            Some(field) => format!("{}.{field}", self.message),
            None => self.message.to_owned(),
        }
    }
}

/// The option that holds a rule.
#[derive(Clone, Copy)]
enum RuleOption<'a> {
    /// An option of the owner.
    Own(&'a Owner<'a>),
    /// An option of the extension that defines a predefined rule.
    Predefined(&'a Extension<'a>),
}

impl RuleOption<'_> {
    fn place(self, places: &mut OptionPlaces<'_>) -> Option<Place> {
        match self {
            Self::Own(owner) => places.of_rule(owner.message, owner.field),
            Self::Predefined(extension) => places.of_option(extension.file, &extension.path),
        }
    }
}

impl<'a> Compiler<'a> {
    fn message(
        &mut self,
        id: MessageId,
        options: &Collected,
        plans: &mut ExpressionPlans,
    ) -> ExpressionPlan {
        let table = self.table;
        let name = table.name(id);
        let owner = Owner {
            message: name,
            field: None,
        };
        let this = Type::Message(CelId(id.0));
        let own = self.own(&options.message.expressions, &this, &owner, plans);
        let mut fields = Vec::new();
        for &index in &table[id].declared {
            let field = &table[id].fields[index as usize];
            let none = FieldOption::default();
            let option = options.fields.get(&index).unwrap_or(&none);
            if option.ignore == Ignore::Always || options.message.disabled {
                continue;
            }
            let chosen = options.message.choices.iter();
            let chosen = chosen
                .flat_map(|choice| &choice.fields)
                .any(|&named| named == index);
            let owner = Owner {
                message: name,
                field: Some(&field.name),
            };
            let plan = self.field((index, field, chosen), option, &owner, plans);
            match plan {
                Ok(plan) => {
                    if !plan.own.is_empty() || !plan.values.is_empty() || !plan.keys.is_empty() {
                        plans.wanted.insert(id.0, index);
                        fields.push(plan);
                    }
                }
                // The compiler of the standard rules may report the same error. Equal errors are
                // shown only once.
                Err(fault) => self.fault(&owner, fault),
            }
        }
        ExpressionPlan {
            message: id,
            own,
            fields: fields.into(),
            scalars: None,
        }
    }

    fn field(
        &mut self,
        (index, field, chosen): (u32, &Field, bool),
        option: &FieldOption,
        owner: &Owner,
        plans: &mut ExpressionPlans,
    ) -> Result<FieldExpressions, String> {
        let inner = match &option.rules {
            Some((_, rules)) => field::elements(rules)?,
            None => [None, None],
        };
        let this = self.type_of(field);
        let own = self.all(option, &this, owner, plans)?;
        let (keys, values) = match field.cardinality {
            Cardinality::Singular => {
                let nested = field.kind.message().and_then(|id| plans.of(id));
                let values = ValueExpressions {
                    nested,
                    ..ValueExpressions::default()
                };
                (ValueExpressions::default(), values)
            }
            Cardinality::Repeated => {
                let values = self.element(field.kind, inner[0].as_deref(), owner, plans)?;
                (ValueExpressions::default(), values)
            }
            Cardinality::Map => {
                let entry = field.kind.message().map(|id| &*self.table[id].fields);
                let Some([key, value]) = entry else {
                    return Err("a map without keys and values".to_owned());
                };
                let keys = self.element(key.kind, inner[0].as_deref(), owner, plans)?;
                let values = self.element(value.kind, inner[1].as_deref(), owner, plans)?;
                (keys, values)
            }
        };
        let has_presence = field.cardinality == Cardinality::Singular && !field.implicit;
        let if_zero =
            option.ignore == Ignore::IfZero || chosen && option.ignore == Ignore::Unspecified;
        Ok(FieldExpressions {
            index,
            judges_absent: !has_presence && !if_zero,
            implicit: field.implicit,
            own,
            values,
            keys,
        })
    }

    /// Returns the rules of an element, key or map value. `message` is the encoded option that
    /// holds these rules, or `None` if there is no such option.
    fn element(
        &mut self,
        field_kind: FieldKind,
        message: Option<&[u8]>,
        owner: &Owner,
        plans: &mut ExpressionPlans,
    ) -> Result<ValueExpressions, String> {
        let option = match message {
            Some(message) => field::read_element(message)?,
            None => FieldOption::default(),
        };
        if option.ignore == Ignore::Always {
            return Ok(ValueExpressions::default());
        }
        let this = kind(self.table, field_kind).to_type();
        Ok(ValueExpressions {
            own: self.all(&option, &this, owner, plans)?,
            skips_zero: option.ignore == Ignore::IfZero && field_kind.message().is_none(),
            nested: field_kind.message().and_then(|id| plans.of(id)),
        })
    }

    fn type_of(&self, field: &Field) -> Type {
        let one = |field_kind| kind(self.table, field_kind).to_type();
        let entry = field.kind.message().map(|id| &*self.table[id].fields);
        match (field.cardinality, entry) {
            (Cardinality::Map, Some([key, value])) => Type::map(one(key.kind), one(value.kind)),
            (Cardinality::Singular, _) => one(field.kind),
            _ => Type::list(one(field.kind)),
        }
    }

    /// Returns the rules in CEL that `option` holds, and the predefined rules that the standard
    /// rules in `option` use. The rules apply to a value of the type `this`.
    fn all(
        &mut self,
        option: &FieldOption,
        this: &Type,
        owner: &Owner,
        plans: &mut ExpressionPlans,
    ) -> Result<Box<[Expression]>, String> {
        let mut all = self.own(&option.expressions, this, owner, plans).into_vec();
        if let Some((kind, rules)) = &option.rules {
            self.predefined(*kind, rules, (this, owner, plans), &mut all)?;
        }
        Ok(all.into())
    }

    fn own(
        &mut self,
        texts: &[RuleText],
        this: &Type,
        owner: &Owner,
        plans: &mut ExpressionPlans,
    ) -> Box<[Expression]> {
        if texts.is_empty() {
            return Box::default();
        }
        let mut environment = self.environment.clone();
        environment.variable("this", this.clone());
        environment.variable("now", Type::Timestamp);
        let option = RuleOption::Own(owner);
        let mut rules = Vec::new();
        for text in texts {
            let program = self.program(&environment, text, (&owner.name(), option), plans);
            rules.extend(program.map(|program| expression(program, text, owner, None)));
        }
        rules.into()
    }

    /// Adds to `all` the predefined rules that `rules` use. `rules` are the encoded standard rules
    /// of this kind.
    fn predefined(
        &mut self,
        kind: RuleKind,
        rules: &[u8],
        (this, owner, plans): (&Type, &Owner, &mut ExpressionPlans),
        all: &mut Vec<Expression>,
    ) -> Result<(), String> {
        let entries = entries(rules).ok_or("the option is malformed")?;
        let mut numbers: Vec<u32> = entries.iter().map(|entry| entry.number).collect();
        numbers.retain(|number| *number >= EXTENSIONS);
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let known = self.table.message(kind.message_name());
            let known = known.and_then(|id| Some((id, self.table[id].by_number(number)?)));
            let unknown = || {
                format!(
                    "unknown rules: {} has no rule of number {number}",
                    kind.name()
                )
            };
            let (id, index) = known.ok_or_else(unknown)?;
            let name = self.table[id].fields[index as usize]
                .name
                .trim_matches(['[', ']']);
            let descriptors = self.descriptors;
            let extensions = self.extensions.take();
            let extensions = extensions.unwrap_or_else(|| all_extensions(descriptors));
            let field = self.schema.field(CelId(id.0), name);
            if let (Some(extension), Some(field)) = (extensions.get(name), field) {
                let option = RuleOption::Predefined(extension);
                let mut environment = self.environment.clone();
                environment.variable("this", this.clone());
                environment.variable("now", Type::Timestamp);
                environment.variable("rules", Type::Message(CelId(id.0)));
                environment.variable("rule", field.to_type());
                for text in extension.rules()? {
                    let program = self.program(&environment, &text, (name, option), plans);
                    let Some(program) = program else { continue };
                    let mut predefined = Predefined {
                        message: id,
                        rules: rules.into(),
                        field: field.clone(),
                        rule: None,
                    };
                    predefined.rule = predefined.constant(self.table);
                    if let Some(kind) = predefined.failure(&program, self.table) {
                        return Err(format!("{name} always fails for this value: {kind}"));
                    }
                    all.push(expression(program, &text, owner, Some(predefined)));
                }
            }
            self.extensions = Some(extensions);
        }
        Ok(())
    }

    /// Adds the length of an expression to the total length, and returns whether the total is
    /// within the limit. Reports an error the first time that the total exceeds the limit.
    fn has_room(&mut self, text: &RuleText, owner: &str, option: RuleOption) -> bool {
        let before = self.text_bytes;
        self.text_bytes += text.expression.len();
        if self.text_bytes <= TEXT_BYTES_MAX {
            return true;
        }
        if before <= TEXT_BYTES_MAX {
            let message = format!(
                "bad rules of {owner}: the expressions up to this one are together longer than {TEXT_BYTES_MAX} bytes"
            );
            let places = &mut self.places;
            let error = Diagnostic::error(message);
            self.found.push_at(error, || option.place(places));
        }
        false
    }

    /// Compiles the expression of a rule in `option`. Reports errors and returns `None` if there
    /// are any.
    fn program(
        &mut self,
        environment: &Environment,
        text: &RuleText,
        (owner, option): (&str, RuleOption),
        plans: &mut ExpressionPlans,
    ) -> Option<Program> {
        if !self.has_room(text, owner, option) {
            return None;
        }
        let program = match environment.compile(&text.expression) {
            Ok(program) => program,
            Err(errors) => {
                for error in errors {
                    let span = error.span;
                    self.report(compile_fault(owner, error), option, text, span);
                }
                return None;
            }
        };
        let failure = program.failure(&[]);
        if let Some((span, fault)) = misfit(environment, (&program, failure.as_ref()), text) {
            let error = Diagnostic::error(format!("bad rules of {owner}: {fault}"));
            self.report(error, option, text, span);
            return None;
        }
        for (span, warning) in warnings((&program, failure), owner) {
            self.report(warning, option, text, span);
        }
        let reads = program.reads();
        plans.wanted.all |= reads.others;
        for (message, index) in &reads.fields {
            plans.wanted.insert(message.0, *index);
        }
        Some(program)
    }

    /// Adds a diagnostic about the part at `span` of the rule `text` in `option`.
    fn report(&mut self, diagnostic: Diagnostic, option: RuleOption, text: &RuleText, span: Span) {
        let places = &mut self.places;
        self.found.push_at(diagnostic, || {
            let start = option.place(places)?;
            let bytes = span.start as usize..span.end as usize;
            let inside = OptionPlaces::in_text(&start, &text.expression, bytes);
            Some(inside.unwrap_or(start))
        });
    }

    fn fault(&mut self, owner: &Owner, fault: String) {
        let error = Diagnostic::error(format!("bad rules of {}: {fault}", owner.name()));
        let places = &mut self.places;
        self.found
            .push_at(error, || places.of_rule(owner.message, owner.field));
    }
}

/// Returns the reason why a program cannot be a rule, with the part of `text` that the reason is
/// about. Returns `None` if the program can be a rule. `failure` describes a part of the program
/// that fails whenever it is evaluated, if there is such a part.
fn misfit(
    environment: &Environment,
    (program, failure): (&Program, Option<&Failure>),
    text: &RuleText,
) -> Option<(Span, String)> {
    if let Some(result) = program.static_type()
        && !matches!(result, Type::Bool | Type::String)
    {
        let whole = Span {
            start: 0,
            end: text.expression.len() as u32,
        };
        let result = environment.type_text(&result);
        let fault = format!("the rule is a value of type {result} instead of bool or string");
        return Some((whole, fault));
    }
    let failure = failure.filter(|failure| failure.decides)?;
    let fault = format!("this fails for every payload: {}", failure.error.kind);
    Some((failure.error.span, fault))
}

/// Returns warnings about a rule of `owner`. Each warning has the span of the part of the
/// expression that the warning is about.
fn warnings(
    (program, failure): (&Program, Option<Failure>),
    owner: &str,
) -> Vec<(Span, Diagnostic)> {
    let mut warnings = Vec::new();
    if let Some(nested) = program.cost().nested() {
        let warning = Diagnostic::warning(format!(
            "the cost of a rule of {owner} grows with the number of elements to the power of {}",
            program.cost().power()
        ));
        let help = "a payload with many elements exceeds limits.rules_cost";
        warnings.push((nested, warning.help(help)));
    }
    if let Some(Failure { error, .. }) = failure {
        let warning = Diagnostic::warning(format!(
            "a part of a rule of {owner} fails whenever it is evaluated: {}",
            error.kind
        ));
        let help = "if the result depends on this part, the payload is rejected with rule_failed";
        warnings.push((error.span, warning.help(help)));
    }
    warnings
}

/// Returns an error of the CEL compiler as a diagnostic without a place.
fn compile_fault(owner: &str, error: CompileError) -> Diagnostic {
    let fault = Diagnostic::error(format!("bad rules of {owner}: {}", error.message));
    match error.help {
        Some(help) => fault.help(help),
        None => fault,
    }
}

fn expression(
    program: Program,
    text: &RuleText,
    owner: &Owner,
    predefined: Option<Predefined>,
) -> Expression {
    Expression {
        reads_clock: program.reads().variables.contains(&NOW),
        program,
        id: text.id.as_str().into(),
        message: text.message.as_str().into(),
        text: text.expression.as_str().into(),
        owner: owner.name().into(),
        predefined,
    }
}
