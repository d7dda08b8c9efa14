//! Parses services and their methods.

use protobuf::descriptor::{MethodDescriptorProto, ServiceDescriptorProto};

use super::recover::Block;
use super::{Parse, Parser};
use crate::parsed::Entity;
use crate::path;

impl Parser<'_> {
    pub(super) fn service(&mut self) -> Parse<ServiceDescriptorProto> {
        self.next();
        let (name, token) = self.expect_word("the service's name")?;
        let mut service = ServiceDescriptorProto::new();
        service.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        let open = self.open()?;
        let block = Block {
            open,
            what: &format!("service {name}"),
            own: &["rpc"],
        };
        self.statements(&block, |p| {
            if p.take_punct(b';') {
                return Ok(());
            }
            if p.is("option") {
                let written = p.option_statement()?;
                p.add_option(Entity::Service, written);
                return Ok(());
            }
            if !p.is("rpc") {
                return p.unexpected_word("\"rpc\" or \"option\"", &["rpc", "option"]);
            }
            let which = service.method.len();
            let method = p.element(path::SERVICE_METHOD, which, Self::method)?;
            service.method.push(method);
            Ok(())
        })?;
        Ok(service)
    }

    fn method(&mut self) -> Parse<MethodDescriptorProto> {
        self.next();
        let (name, token) = self.expect_word("the method's name")?;
        let mut method = MethodDescriptorProto::new();
        method.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        let (streams, input) = self.method_type(path::METHOD_INPUT)?;
        method.set_input_type(input);
        if streams {
            method.set_client_streaming(true);
        }
        if !self.take("returns") {
            return self.unexpected_word("\"returns\"", &["returns"]);
        }
        let (streams, output) = self.method_type(path::METHOD_OUTPUT)?;
        method.set_output_type(output);
        if streams {
            method.set_server_streaming(true);
        }
        if !self.is_punct(b'{') {
            self.expect_end()?;
            return Ok(method);
        }
        let open = self.next();
        // The braces set the field `options`, even if they contain no option. The value is then an
        // empty message.
        method.options.mut_or_insert_default();
        let block = Block {
            open,
            what: &format!("rpc {name}"),
            own: &[],
        };
        self.statements(&block, |p| {
            if p.take_punct(b';') {
                return Ok(());
            }
            if !p.is("option") {
                return p.unexpected_word("\"option\" or '}'", &["option"]);
            }
            let written = p.option_statement()?;
            p.add_option(Entity::Method, written);
            Ok(())
        })?;
        Ok(method)
    }

    fn method_type(&mut self, field: i32) -> Parse<(bool, String)> {
        self.expect_punct(b'(')?;
        let streams = self.take("stream");
        let (name, range) = self.type_name("the name of a message")?;
        self.locate(&[field], range);
        self.expect_punct(b')')?;
        Ok((streams, name))
    }
}
