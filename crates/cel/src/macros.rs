//! The macros of the language, which look like calls of functions.

use crate::ast::{Call, Expr, ExprKind, Fold, FoldKind, Select, SelectForm};
use crate::error::CompileError;

/// The macros that visit elements: name, number of arguments, number of variables, and kind.
const FOLDS: [(&str, usize, usize, FoldKind); 17] = [
    ("all", 2, 1, FoldKind::All),
    ("all", 3, 2, FoldKind::All),
    ("exists", 2, 1, FoldKind::Exists),
    ("exists", 3, 2, FoldKind::Exists),
    ("exists_one", 2, 1, FoldKind::ExistsOne),
    ("exists_one", 3, 2, FoldKind::ExistsOne),
    ("existsOne", 2, 1, FoldKind::ExistsOne),
    ("existsOne", 3, 2, FoldKind::ExistsOne),
    ("filter", 2, 1, FoldKind::Filter),
    ("map", 2, 1, FoldKind::List),
    ("map", 3, 1, FoldKind::List),
    ("transformList", 3, 2, FoldKind::List),
    ("transformList", 4, 2, FoldKind::List),
    ("transformMap", 3, 2, FoldKind::MapValues),
    ("transformMap", 4, 2, FoldKind::MapValues),
    ("transformMapEntry", 3, 2, FoldKind::MapEntries),
    ("transformMapEntry", 4, 2, FoldKind::MapEntries),
];

/// Returns the expansion of `call`, or the call itself if it is not a macro.
pub(crate) fn expand(call: Call) -> Result<ExprKind, CompileError> {
    let name = call.function();
    let count = call.arguments.len();
    let Some(target) = &call.target else {
        return if name == "has" && count == 1 {
            has(call)
        } else {
            Ok(ExprKind::Call(call))
        };
    };
    let on_proto = matches!(&target.kind, ExprKind::Identifier(name) if name.text == "proto");
    if on_proto && count == 2 && matches!(name, "getExt" | "hasExt") {
        return extension(call);
    }
    let fold = FOLDS.iter().find(|fold| fold.0 == name && fold.1 == count);
    match fold {
        Some(&(_, _, variables, kind)) => visit(call, variables, kind),
        None => Ok(ExprKind::Call(call)),
    }
}

fn has(mut call: Call) -> Result<ExprKind, CompileError> {
    let wrong = |argument: &Expr| {
        let error = CompileError::new(argument.span, "has() takes the selection of a field");
        error.help("write has(message.field)")
    };
    match call.arguments.pop() {
        Some(argument) => match argument.kind {
            ExprKind::Select(select) if select.form != SelectForm::Test => {
                Ok(ExprKind::Select(Select {
                    form: SelectForm::Test,
                    ..select
                }))
            }
            _ => Err(wrong(&argument)),
        },
        None => Ok(ExprKind::Call(call)),
    }
}

/// Converts the call `proto.getExt(message, extension)` to the selection of the extension, and the
/// call `proto.hasExt(message, extension)` to the test whether the message has the extension.
fn extension(mut call: Call) -> Result<ExprKind, CompileError> {
    let form = if call.function() == "hasExt" {
        SelectForm::Test
    } else {
        SelectForm::Quoted
    };
    let (Some(name), Some(message)) = (call.arguments.pop(), call.arguments.pop()) else {
        return Ok(ExprKind::Call(call));
    };
    let Some(field) = name.qualified() else {
        return Err(CompileError::new(
            name.span,
            "expected the full name of an extension",
        ));
    };
    Ok(ExprKind::Select(Select {
        operand: Box::new(message),
        field: field.text,
        field_span: name.span,
        form,
    }))
}

/// Returns the expansion of `call`, which calls a macro of the kind `kind`. The first `variables`
/// arguments are the names of the macro's variables.
fn visit(call: Call, variables: usize, kind: FoldKind) -> Result<ExprKind, CompileError> {
    let Call {
        target: Some(range),
        mut arguments,
        ..
    } = call
    else {
        return Ok(ExprKind::Call(call));
    };
    let mut rest = arguments.split_off(variables.min(arguments.len()));
    let mut names: Vec<String> = Vec::new();
    for argument in arguments {
        let name = match argument.kind {
            ExprKind::Identifier(name) if !name.rooted => name.text,
            _ => {
                return Err(CompileError::new(
                    argument.span,
                    "expected a name for the element",
                ));
            }
        };
        if names.contains(&name) {
            return Err(CompileError::new(
                argument.span,
                "the two variables have the same name",
            ));
        }
        names.push(name);
    }
    let Some(body) = rest.pop() else {
        return Err(CompileError::new(range.span, "the macro lacks an argument"));
    };
    Ok(ExprKind::Fold(Box::new(Fold {
        kind,
        range: *range,
        variables: names,
        filter: rest.pop(),
        body,
    })))
}
